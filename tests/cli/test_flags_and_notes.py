"""What `segment` and `benchmark` say of a scan that is not what it was given as, and of what was decided on the way."""

from __future__ import annotations

import json
from html import unescape

import numpy as np
import pandas as pd
import pytest

from flairline.io.nifti import read_mask, write_mask, write_volume
from flairline.synthesis.phantom import phantom
from flairline.types import Volume


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """FLAIR, T1, brain and truth of a phantom, on disk."""
    folder = tmp_path_factory.mktemp("phantom")
    scan, truth, _ = phantom(1, 3.0, ["tumour"], "LPS")
    write_volume(folder / "flair.nii.gz", scan.flair)
    write_volume(folder / "t1.nii.gz", scan.t1)
    write_mask(folder / "brain.nii.gz", scan.brain)
    write_mask(folder / "truth.nii.gz", truth)
    return folder


def read(folder):
    """Flags by figure, and all, of a scan's summary."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return {flag["figure"]: flag["reason"] for flag in summary["qc"]["flags"]}, summary


QUICK = ("--method", "training-free")


def test_a_t1_as_flair_is_segmented_and_flagged(tmp_path, flairline, files):
    ran = flairline("segment", files / "t1.nii.gz", *QUICK, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    folder = tmp_path / "out" / "t1"
    flags, summary = read(folder)
    assert flags["contrast"].startswith("looks like a T1, not a FLAIR: ")
    assert f"LOOK AT t1: contrast: {flags['contrast']}." in ran.err
    assert flags["contrast"] in (folder / "report.html").read_text(encoding="utf-8")
    assert {"near_fluid", "bright_tail", "grey_over_white", "t1_below"} <= set(summary["qc"]["figures"])
    assert (folder / "mask.nii.gz").exists()


def test_t1_and_flair_that_are_exchanged_are_named_as_such(tmp_path, flairline, files):
    out = tmp_path / "out"
    given = (files / "t1.nii.gz", "--t1", files / "flair.nii.gz", *QUICK, "--no-regions", "--no-report")
    ran = flairline("segment", *given, "-o", out)
    assert ran.code == 0, ran.err
    flags, _ = read(out / "t1")
    assert flags["contrast"].startswith("T1 and FLAIR look exchanged: ") and flags["contrast"] in ran.err


def test_a_flair_is_not_flagged(tmp_path, flairline, files):
    given = (files / "flair.nii.gz", "--t1", files / "t1.nii.gz", *QUICK, "--no-report")
    ran = flairline("segment", *given, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "contrast" not in read(tmp_path / "out" / "flair")[0] and "contrast" not in ran.err


def test_a_benchmark_says_what_cannot_be_a_flair(tmp_path, flairline, files):
    table = tmp_path / "cases.csv"
    rows = [f"d,wrong,{files}/t1.nii.gz,{files}/flair.nii.gz,{files}/truth.nii.gz"]
    rows += [f"d,right,{files}/flair.nii.gz,{files}/t1.nii.gz,{files}/truth.nii.gz"]
    table.write_text("\n".join(["dataset,subject,flair,t1,truth", *rows]))
    out = tmp_path / "out"
    ran = flairline("benchmark", "--cases", table, "--method", "intensity", "-o", out)
    assert ran.code == 0, ran.err
    assert "LOOK AT d/wrong: contrast: T1 and FLAIR look exchanged" in ran.err and "LOOK AT d/right" not in ran.err
    assert "T1 and FLAIR look exchanged" in (out / "index.html").read_text(encoding="utf-8")
    assert any("look exchanged" in page.read_text(encoding="utf-8") for page in (out / "pages").glob("*wrong*.html"))


def test_regions_are_in_the_table_of_the_page_and_left_out_when_asked(tmp_path, flairline, files):
    pages = {}
    for name, option in (("with", "--regions"), ("without", "--no-regions")):
        out = tmp_path / name
        assert flairline("segment", files / "flair.nii.gz", *QUICK, option, "-o", out).code == 0
        pages[name] = (out / "flair" / "report.html").read_text(encoding="utf-8")
        masks = (out / "flair" / "mask.nii.gz").read_bytes(), (out / "flair" / "score.nii.gz").read_bytes()
        assert pages.setdefault("masks", masks) == masks
    _, summary = read(tmp_path / "with" / "flair")
    assert {lesion["region"] for lesion in summary["lesions"]} <= set(summary["region_ml"])
    assert f"<td>{summary['lesions'][0]['region']}</td>" in pages["with"] and 'id="region-table"' in pages["with"]
    assert "Lies in" not in pages["without"] and 'id="region-table"' not in pages["without"]


def test_several_scans_get_a_table_and_report_writes_it_again(tmp_path, flairline, files):
    empty = tmp_path / "empty.nii.gz"
    empty.write_bytes(b"")
    scans = (files / "flair.nii.gz", empty, files / "t1.nii.gz")
    out = tmp_path / "out"
    ran = flairline("segment", *scans, *QUICK, "--no-report", "-o", out)
    assert ran.code == 1, ran.err
    table = pd.read_csv(out / "volumes.tsv", sep="\t").set_index("subject")
    assert table["status"].to_dict() == {"empty": "failed", "flair": "done", "t1": "flagged"}
    assert "is empty" in table.loc["empty", "failure"] and table.loc["t1", "flags"].startswith("contrast: looks like")
    summed = table.loc["flair", [column for column in table if column.endswith("_ml") and "brain" not in column]]
    assert summed.iloc[1:].sum() == pytest.approx(summed.iloc[0], rel=1e-4)
    before = (out / "volumes.tsv").read_bytes()
    (out / "volumes.tsv").unlink()
    assert flairline("report", out).code == 0
    assert (out / "volumes.tsv").read_bytes() == before
    alone = tmp_path / "alone"
    flairline("segment", files / "flair.nii.gz", *QUICK, "--no-report", "-o", alone)
    assert not (alone / "volumes.tsv").exists()


def test_what_was_decided_about_brain_and_truth_is_noted(tmp_path, flairline, files, save):
    """Both are shares of voxels: from one half on a voxel is set, and that is said."""
    table = tmp_path / "cases.csv"
    for name in ("brain", "truth"):
        mask = read_mask(files / f"{name}.nii.gz")
        shares = np.where(mask.array, 0.75, 0.0).astype(np.float32)
        shares[0, 0, 0], shares[1, 1, 1] = 0.25, 0.4
        write_volume(tmp_path / f"{name}.nii.gz", Volume(shares, mask.space))
    table.write_text(
        f"dataset,subject,flair,t1,brain,truth\nd,1,{files}/flair.nii.gz,{files}/t1.nii.gz,brain.nii.gz,truth.nii.gz\n"
        f"d,2,{files}/flair.nii.gz,,brain.nii.gz,truth.nii.gz\n"
    )
    ran = flairline("segment", "--cases", table, *QUICK, "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    for subject in ("1", "2"):
        _, summary = read(tmp_path / "out" / subject)
        notes = summary["qc"]["notes"]
        assert "brain: It has fractions: from one half on a voxel is set." in notes
        assert "truth: It has fractions: from one half on a voxel is lesion." in notes
        page = unescape((tmp_path / "out" / subject / "report.html").read_text(encoding="utf-8"))
        assert all(note in page for note in notes)


def test_why_a_series_was_chosen_is_noted(tmp_path, flairline):
    pytest.importorskip("pydicom")
    pytest.importorskip("dcm2niix")
    from dicom_writer import FLAIR, image, write_series

    box = image()
    inside = np.zeros(box.space.shape, bool)
    inside[2:-2, 2:-2, 2:-2] = True
    write_series(tmp_path / "study", Volume(np.where(inside, box.array, 0).astype(np.float32), box.space), 4, FLAIR)
    out = tmp_path / "out"
    ran = flairline("segment", tmp_path / "study", "--method", "brightest", "--brain", "none", "-o", out)
    assert ran.code == 0, ran.err
    (folder,) = {path.parent for path in out.glob("*/summary.json")}
    _, summary = read(folder)
    (chosen,) = [note for note in summary["qc"]["notes"] if "long inversion time" in note]
    assert chosen in unescape((folder / "report.html").read_text(encoding="utf-8"))
