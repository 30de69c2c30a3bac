"""What each rule of a recipe's mask is worth, on heads whose answer is known by construction."""

from __future__ import annotations

import csv

import pytest

from flairline import recipes
from flairline.benchmarking import judge, rule_ablation
from flairline.benchmarking.source import FileSource, RecipeSource
from flairline.evaluation import protocols
from flairline.imaging.components import ComponentRule
from flairline.postprocess.masses import BesideMass, TighterScatter
from flairline.postprocess.recipe import Recipe
from flairline.postprocess.threshold import GivenValue

RULES = (BesideMass(2.0, 0.5), TighterScatter(2.0, 1.1))
"""The block of a head is 2 mm deep; either rule takes away the lone bright voxel or leaves it."""


def recipe(*rules) -> Recipe:
    return Recipe("ruled", "intensity", ComponentRule(1), GivenValue(250.0), mask_rules=rules)


@pytest.fixture
def judged(patients, tmp_path):
    def run(*rules):
        source, protocol = RecipeSource(recipe(*rules)), protocols.load("sound")
        result = judge.judge(patients, source, protocol, tmp_path / "work")
        return rule_ablation.run([result], [source], protocol)

    return run


def test_without_a_rule_what_it_took_away_comes_back(judged):
    """A voxel of 900 stays above 1.1 times the threshold, so the second rule alone does not take it."""
    whole, first, second, none = judged(*RULES)
    assert [row.left_out for row in (whole, first, second, none)] == [
        "nothing",
        "BesideMass(depth_mm=2.0, share=0.5, sure=inf, ramp_mm=0.0)",
        "TighterScatter(depth_mm=2.0, level=1.1, most=inf)",
        "all rules of the mask",
    ]
    assert (whole.dice, whole.false_islands_ml, whole.n_scans) == (1, 0, 2)
    assert second.dice == 1 and second.dice_change == 0
    for row in (first, none):
        assert row.dice == pytest.approx(2 * 48 / (49 + 48)) and row.dice_change == pytest.approx(row.dice - 1)
        assert row.false_islands_ml == pytest.approx(0.003) and row.missed_lesions_ml == 0


def test_one_rule_has_two_rows_and_none_has_none(judged):
    assert [row.left_out for row in judged(RULES[0])] == ["nothing", repr(RULES[0])]
    assert judged() == []


def test_a_recipe_says_its_rules_only_where_it_has_any():
    assert "mask_rules" not in RecipeSource(recipe()).describe()["recipe"]
    described = RecipeSource(recipe(*RULES)).describe()["recipe"]["mask_rules"]
    assert described["BesideMass"] == {"depth_mm": 2.0, "share": 0.5, "sure": float("inf"), "ramp_mm": 0.0}
    assert RecipeSource(recipe(*RULES)).about.variants and not FileSource().about.variants
    assert not RecipeSource(recipes.load("histeq")).about.variants


def test_the_table_is_written_where_there_is_a_row(judged, tmp_path):
    rule_ablation.write(tmp_path / "none", [])
    assert not (tmp_path / "none").exists()
    rule_ablation.write(tmp_path, judged(*RULES))
    with (tmp_path / "rules.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["dice"]) for row in rows] == pytest.approx([1, 96 / 97, 1, 96 / 97])
    assert "| ruled | mslub | nothing | 1.0000 | +0.0000 | 0.00 |" in (tmp_path / "rules.md").read_text()
