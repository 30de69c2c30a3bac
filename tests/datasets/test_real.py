"""The real scans, laid out as their owners distribute them, through loaders, experiments and tables."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from .conftest import lay_out_brats, lay_out_mslub, lay_out_msseg, lay_out_wmh

TOLERANCE = 0.005
FIGURES = {  # as in the regression tests: oracle Dice, AUPRC, AUROC
    "experiment-1": (0.7059, 0.7320, 0.9844),
    "experiment-2": (0.7905, 0.8585, 0.9806),
}
METRICS = ("dice_oracle", "auprc", "auroc")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_experiments_on_brats_as_distributed(flairline, real_data, tmp_path):
    folder = lay_out_brats(real_data, tmp_path)
    done = flairline("datasets", "check", "brats2020", tmp_path)
    assert done.code == 0
    assert "4 of 369 scans can be used" in done.out
    ran = flairline("benchmark", "--dataset", f"brats2020={folder}", "--method", "histeq", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    rows = table(tmp_path / "out" / "rows.csv")
    assert {row["method"] for row in rows} == {"histeq", "intensity", "highpass"}
    for protocol, figures in FIGURES.items():
        found = {
            row["metric"]: float(row["value"])
            for row in rows
            if (row["subject"], row["protocol"], row["method"]) == ("cohort", protocol, "histeq")
        }
        assert [found[name] for name in METRICS] == pytest.approx(figures, abs=TOLERANCE)
    cells = {(row["experiment"], row["method"], row["metric"]): row for row in table(tmp_path / "out/tables/4.csv")}
    cell = cells["I", "histeq", "dice_oracle"]
    assert float(cell["published"]) == 0.666
    assert float(cell["difference"]) == pytest.approx(float(cell["ours"]) - 0.666)
    assert cell["scans"] == "4 of 371"
    assert cell["beats_trivial"] in ("yes", "no")


def test_unreadable_among_good_ones_is_named(flairline, real_data, tmp_path):
    folder = lay_out_brats(real_data, tmp_path, n=3)
    broken = folder / "BraTS20_Training_002" / "BraTS20_Training_002_flair.nii.gz"
    broken.write_bytes(broken.read_bytes()[:1000])
    (folder / "BraTS20_Training_003" / "BraTS20_Training_003_seg.nii.gz").unlink()
    ran = flairline(
        "benchmark", "--dataset", f"brats2020={folder}", "--method", "histeq", "--no-controls",
        "--protocol", "experiment-2", "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 1
    assert "BraTS20_Training_002: " in ran.err
    assert "cut off" in ran.err
    assert "BraTS20_Training_003: no truth" in ran.err
    assert "1 of 371" in (tmp_path / "out/tables/4.md").read_text()


def test_native_figures_of_the_ms_data_sets(flairline, real_data, tmp_path):
    mslub, msseg = lay_out_mslub(real_data, tmp_path / "a"), lay_out_msseg(real_data, tmp_path / "b")
    ran = flairline(
        "benchmark", "--dataset", f"mslub={mslub}", "--dataset", f"msseg2015={msseg}", "--method", "histeq",
        "--no-controls", "--protocol", "native", "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = {
        (row["dataset"], row["metric"]): float(row["value"])
        for row in table(tmp_path / "out" / "rows.csv")
        if row["subject"] == "cohort"
    }
    assert [found["mslub", name] for name in METRICS] == pytest.approx((0.5049, 0.3370, 0.9907), abs=TOLERANCE)
    assert [found["msseg2015", name] for name in METRICS] == pytest.approx((0.3475, 0.2401, 0.9843), abs=TOLERANCE)


def test_off_the_atlas_without_an_atlas_says_what_to_do(flairline, real_data, tmp_path):
    mslub = lay_out_mslub(real_data, tmp_path)
    ran = flairline(
        "benchmark", "--dataset", f"mslub={mslub}", "--method", "histeq", "--no-controls",
        "--protocol", "experiment-1", "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 2
    assert "--atlas sri24" in ran.err
    template = real_data / "healthy_like" / "flair_template_GG853_2mm.nii.gz"
    ran = flairline(
        "benchmark", "--dataset", f"mslub={mslub}", "--method", "histeq", "--atlas", template, "-o", tmp_path / "two"
    )
    assert ran.code == 2


def test_mslub_goes_to_the_atlas(flairline, real_data, tmp_path):
    mslub = lay_out_mslub(real_data, tmp_path)
    atlas = real_data / "sri24" / "spgr.nii.gz"
    ran = flairline(
        "benchmark", "--dataset", f"mslub={mslub / 'patient19'}", "--method", "histeq", "--no-controls",
        "--protocol", "experiment-2", "--atlas", atlas, "-o", tmp_path / "out",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    cells = {(row["dataset"], row["method"]): row for row in table(tmp_path / "out/tables/3.csv")}
    assert 0 < float(cells["MSLUB", "histeq"]["ours"]) < 1
    assert "greedy" in (tmp_path / "out/tables/3.md").read_text()
    (per_scan, mean) = (float(row["ours"]) for row in table(tmp_path / "out/tables/1.csv") if row["dataset"] == "MSLUB")
    # 49,769 lesion voxels of 1 mm in MNI space; SRI24 is a smaller head.
    assert 20_000 < per_scan * mean < 60_000


def test_loaders_read_the_rest(flairline, real_data, tmp_path):
    done = flairline("datasets", "check", "msseg2015", lay_out_msseg(real_data, tmp_path / "b"))
    assert done.code == 0
    assert "3 of 21 scans can be used" in done.out
    done = flairline("datasets", "check", "wmh2017", lay_out_wmh(real_data, tmp_path / "c"))
    assert "of 60 scans can be used" in done.out
