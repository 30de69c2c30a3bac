"""Figure 4 and its table: phantoms of 4 mm, a network of the preset `test`, beside methods without one."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import pytest

from flairline import recipes
from flairline.benchmarking.judge import Result
from flairline.benchmarking.paper import reconstruction
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.rows import COHORT, Row
from flairline.benchmarking.run import run
from flairline.benchmarking.source import RecipeSource, Reconstruction
from flairline.datasets.phantom import Dataset as Phantoms
from flairline.evaluation import protocols
from flairline.report import collect


def test_rank_correlation_counts_only_methods_that_have_both():
    value, n = reconstruction.rank_correlation([0.1, 0.2, 0.3, math.nan], [0.3, 0.2, 0.1, 0.9])
    assert (value, n) == (pytest.approx(-1.0), 3)
    value, _ = reconstruction.rank_correlation([0.1, 0.2, 0.3, 0.4], [0.1, 0.3, 0.2, 0.4])
    assert value == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)


@pytest.mark.parametrize("errors", [[0.1, 0.2], [0.1, 0.2, math.nan], [0.1, 0.1, 0.1], []])
def test_rank_correlation_is_nan_where_it_is_undefined(errors):
    assert math.isnan(reconstruction.rank_correlation(errors, [0.1, 0.2, 0.3][: len(errors)])[0])


def test_lines_take_the_cohorts_dice_and_methods_without_a_network_come_last():
    def rows(method, dice):
        of_cohort = Row("mslub", method, "baur", COHORT, "dice_oracle", dice, 2)
        return [of_cohort, Row("mslub", method, "baur", "patient01", "dice_oracle", 0.99, 1)]

    baur = protocols.load("baur")
    results = [Result(baur, name, rows=rows(name, dice)) for name, dice in (("histeq", 0.4), ("intensity", 0.3))]
    lines = reconstruction.make(results, [RecipeSource(recipes.load(name)) for name in ("histeq", "intensity")])
    assert [(line.method, line.dice_oracle) for line in lines] == [("histeq", 0.4), ("intensity", 0.3)]
    assert all(math.isnan(line.l1_healthy) and math.isnan(line.dice) for line in lines)
    assert "over 0 methods: undefined" in reconstruction.as_markdown(lines)


def test_benchmark_writes_the_table_and_the_page_shows_it(judged, autoencoder):
    out, _, _, ran = judged
    with (out / "tables" / "reconstruction.csv").open(newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    values = {(row.method, row.metric): row.value for row in ran.rows if row.subject == COHORT}
    learned = rows[f"ae_dense={autoencoder}"]
    assert 0 < float(learned["l1_healthy"]) < 1
    assert float(learned["dice_oracle"]) == values[f"ae_dense={autoencoder}", "dice_oracle"]
    assert float(learned["dice"]) == values[f"ae_dense={autoencoder}", "dice"]
    assert rows["histeq"]["l1_healthy"] == "nan"
    assert ran.written["Reconstruction against Dice"].exists()
    (document,) = collect.cohort_of(out).documents
    assert len(document.lines) == 2
    assert any("over 1 methods: undefined" in note for note in document.notes)


def test_a_statistical_atlas_stands_beside_a_network_and_the_different_grids_are_named(tmp_path):
    grids = {"net": {"size": 128, "intensity": "unit"}, "atlas": {"shape": [91, 109, 91], "intensity": "unit"}}
    known = {}
    for name, grid in grids.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"format": 1, "l1_healthy": 0.1, "grid": grid}))
        known[name] = RecipeSource(replace(recipes.load("histeq"), model=folder)).reconstruction_quality()
    assert reconstruction.incomparable([known["net"], known["net"]]) == []
    different = reconstruction.incomparable([known["net"], known["atlas"]])
    assert different == ["The models see slices of different size or intensity."]
    elsewhere = [known["net"], replace(known["net"], validated_on=frozenset({"other"}))]
    assert "different scans" in reconstruction.incomparable(elsewhere)[0]
    assert known["net"] == Reconstruction(0.1, frozenset(), known["net"].grid)


def test_without_a_network_that_reconstructs_nothing_is_written(tmp_path):
    cases = Phantoms(tmp_path / "phantoms", subjects=1, spacing_mm=4.0).cases()
    run(Plan(cases, [RecipeSource(recipes.load("histeq"))], [protocols.load("sound")], tmp_path / "out"))
    assert not (tmp_path / "out" / "tables").exists()
    assert not (tmp_path / "out" / "figures").exists()
