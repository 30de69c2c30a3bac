"""Tables, figures and the ablation, on small heads that are judged as the paper's data sets."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flairline import recipes, registry
from flairline.benchmarking import controls
from flairline.benchmarking.judge import Result
from flairline.benchmarking.paper import tables
from flairline.benchmarking.rows import COHORT, Row
from flairline.benchmarking.source import FileSource, RecipeSource
from flairline.evaluation.counts import Counts
from flairline.evaluation.judged_scan import JudgedScan
from flairline.types import Case, no_progress


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_have_ours_published_and_difference(done, tmp_path):
    folder = tmp_path / "out" / "tables"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        f"{number}.{suffix}" for number in (1, 2, 3, 4) for suffix in ("csv", "md", "tex")
    )
    result = {(row.dataset, row.method, row.protocol, row.metric): row.value for row in done.rows}
    second = {(row["dataset"], row["method"], row["metric"]): row for row in rows(folder / "2.csv")}
    mine = second["MSLUB", "histeq", "dice_oracle"]
    ours = result["mslub", "histeq", "experiment-1", "dice_oracle"]
    assert float(mine["published"]) == 0.374
    assert float(mine["difference"]) == pytest.approx(float(mine["ours"]) - 0.374)
    assert mine["scans"] == "2 of 30"
    assert {row["published"] for key, row in second.items() if key[1] in controls.names()} == {"nan"}
    assert float(second["MSLUB", "f-AnoGAN", "auroc"]["published"]) == 0.856
    assert ("MSLUB", "FLAIR histogram equalisation", "dice_oracle") not in second  # it is ours
    assert ours == ours
    fourth = {(row["experiment"], row["dataset"], row["method"], row["metric"]): row for row in rows(folder / "4.csv")}
    cell = fourth["II", "MSSEG2015", "histeq", "dice_oracle"]
    assert float(cell["published"]) == 0.593
    assert cell["scans"] == "1 of 21"
    assert fourth["I", "BraTS", "FLAIR histogram equalisation", "auprc"]["ours"] == "nan"
    trivial = max(float(cell[control]) for control in controls.names())
    assert cell["beats_trivial"] == ("yes" if float(cell["ours"]) > trivial else "no")
    assert "brain masks as distributed" in cell["differs"]


def test_a_fragment_says_so(done, tmp_path):
    for suffix in ("md", "tex"):
        text = (tmp_path / "out" / "tables" / f"4.{suffix}").read_text()
        assert "A fragment: 2 of the 30 published scans of MSLUB, 1 of the 21 published scans of MSSEG2015" in text
    assert "\\_" in (tmp_path / "out" / "tables" / "4.tex").read_text()
    markdown = (tmp_path / "out" / "tables" / "4.md").read_text().splitlines()
    widths = {line.count("|") for line in markdown if line.startswith("|")}
    assert widths == {13}


def test_table_1_counts_the_truths_components(tmp_path, save, make_head, small):
    """One block of 48 voxels on the left and a second component that touches it by a corner only."""
    head = make_head()
    truth = head.truth.copy()
    truth[8, 11, 11] = True  # diagonal neighbour of the block's last voxel
    truth[10, 9, 9] = True
    flair = save(tmp_path / "flair.nii.gz", head.flair)
    case = Case("mslub", "patient01", flair=flair, truth=save(tmp_path / "truth.nii.gz", truth.astype(np.uint8)))
    ((found),) = tables.lesions_of_truths([case], small, RecipeSource(recipes.load("histeq")), 1, no_progress)
    assert sorted(found.sizes) == [1, 49]
    first = tables.make([], [found], [case], [])[0]
    cell = next(cell for cell in first.cells if (cell.dataset, cell.metric) == ("MSLUB", "anomaly_voxels_mean"))
    assert (cell.ours, cell.published, cell.scans) == (25, 106, "1 of 30")


def test_where_the_threshold_is_chosen():
    """Two blobs: the filter removes the small bright one, so that the best threshold moves with its place."""
    rng = np.random.default_rng(1)
    truth = np.zeros((12, 13, 14), np.bool_)
    truth[2:5, 2:5, 2:5] = True
    score = rng.random(truth.shape).astype(np.float32) * 0.6
    score[truth] += 0.2
    brain = np.ones(truth.shape, np.bool_)
    scan = JudgedScan.from_arrays(score, truth, brain, False)
    counts = Counts.empty()
    counts.update(scan, "p", 15)
    inside = counts.oracle()
    outside = replace(counts, chosen_before_filter=True).oracle()
    thresholds, before, after = counts.dice_curves()
    assert inside.dice == np.nanmax(after)
    assert outside.threshold == thresholds[int(np.nanargmax(before))]
    assert outside.dice <= inside.dice
    assert inside.threshold != outside.threshold


def test_a_method_that_does_not_beat_the_controls_is_told():
    assert tables._beats(0.5, [0.4, 0.3]) == "yes"
    assert tables._beats(0.4, [0.4, 0.3]) == "no"
    assert tables._beats(0.5, [float("nan"), float("nan")]) == ""
    assert tables._beats(float("nan"), [0.1, 0.2]) == ""


def test_each_method_meets_its_own_published_row(monkeypatch, small):
    """`default` is no histogram equalisation, `brightest` is; trained ones have theirs; files go by their name."""
    dense = registry.load("methods", "ae_dense")
    monkeypatch.setattr(dense, "info", replace(dense.info, published_as="AE (dense)"))
    trained = recipes.Recipe("ae_dense=models/ae", "ae_dense", model=Path("models/ae"))
    chosen = [
        recipes.Recipe("default", "synthetic_unet"),
        *map(recipes.load, ("brightest", "histeq", "paper")),
        trained,
    ]
    sources = [*map(RecipeSource, [*chosen, recipes.load("training-free")]), FileSource("f-AnoGAN")]
    results = [
        Result(small, source.name, [Row("mslub", source.name, small.name, COHORT, "dice_oracle", 0.5, 2)])
        for source in sources
    ]
    second = tables.make(results, [], [Case("mslub", "patient01")], sources)[1]
    of_mslub = [cell for cell in second.cells if (cell.dataset, cell.metric) == ("MSLUB", "dice_oracle")]
    ours = {cell.method: cell.published for cell in of_mslub if cell.ours == 0.5}
    assert {name for name, value in ours.items() if np.isnan(value)} == {"default", "training-free"}
    known = {name: value for name, value in ours.items() if not np.isnan(value)}
    assert known == {
        "brightest": 0.374,
        "histeq": 0.374,
        "paper": 0.374,
        "ae_dense=models/ae": 0.271,
        "f-AnoGAN": 0.283,
    }
    alone = {cell.method for cell in of_mslub if np.isnan(cell.ours)}
    assert alone == {"AE (spatial)", "VAE (restoration)", "GMVAE (restoration)", "SSAE (spatial)"}


def test_a_table_is_read_back_from_its_csv(done, tmp_path):
    for path in sorted((tmp_path / "out" / "tables").glob("[0-9].csv")):
        table = tables.read(path)
        assert tables.as_csv(table) == path.read_text()
        lines = [line for line in path.with_suffix(".md").read_text().splitlines() if line.startswith("|")]
        assert len(tables.printed(table)[1]) == len(lines) - 2
