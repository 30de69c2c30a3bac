"""One field of a protocol after the other is turned, and nothing but that field."""

from __future__ import annotations

import csv
from dataclasses import fields, replace
from itertools import pairwise

import pytest

from flairline import recipes
from flairline.benchmarking import ablation
from flairline.benchmarking.ablation import AblationRow, variations, walk_to_baur, write
from flairline.benchmarking.judge import count
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.source import RecipeSource
from flairline.evaluation import protocols
from flairline.types import no_progress

NAMES = ("sound", "experiment-1", "experiment-2", "native", "baur")


def differing(one, other) -> set[str]:
    return {field.name for field in fields(one) if getattr(one, field.name) != getattr(other, field.name)}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_is_the_protocol_itself_and_every_other_one_differs(name):
    base = protocols.load(name)
    (field, value, first), *others = variations(base)
    assert (field, value) == ("as it is", name) and first is base
    assert others and all(varied != base and varied.name == name for _, _, varied in others)


@pytest.mark.parametrize("name", NAMES)
def test_a_variation_turns_one_thing(name):
    """A component rule has two fields, and with all thresholds the filter's place is said, so three at most."""
    base = protocols.load(name)
    for field, value, varied in list(variations(base))[1:]:
        turned = differing(base, varied)
        allowed = {
            "thresholds tried": {"n_thresholds", "chosen_before_filter"},
            "smallest component": {"components", "min_component_ml"},
        }
        assert len(turned) == 1 or turned <= allowed[field], (field, value)


@pytest.mark.parametrize("name", NAMES)
def test_no_two_variations_are_the_same_but_for_their_names(name):
    """A table with one row twice would be read as two findings."""
    listed = [(field, value) for field, value, _ in variations(protocols.load(name))]
    assert len(set(listed)) == len(listed)


def test_the_walk_adds_one_step_to_the_other_and_ends_with_baurs_components():
    base, baur = protocols.load("experiment-1"), protocols.load("baur")
    walk = [protocol for _, _, protocol in walk_to_baur(base)]
    assert walk[0] is base and walk[-1] == baur
    *_, last = walk[:-1]
    assert last.components == baur.components and last.maps.median_voxels == baur.maps.median_voxels
    for before, after in pairwise(walk[:-1]):
        assert len(differing(before, after)) == 1


def test_off_the_atlas_grid_the_walk_ends_before_baurs_own_grid():
    assert len(list(walk_to_baur(protocols.load("native")))) == len(list(walk_to_baur(protocols.load("baur")))) - 1


def test_what_is_written_says_what_was_turned_and_what_it_changed(tmp_path):
    rows = [
        AblationRow("first", "data", "as it is", "sound", 0.5, 0.0, 0.4, 0.9, 3, 0),
        AblationRow("first", "data", "voxels", "all", 0.25, -0.25, 0.2, 0.8, 2, 1),
    ]
    write(tmp_path, protocols.load("sound"), rows, rows[:1])
    with (tmp_path / "dice.csv").open(newline="") as file:
        (_, turned) = csv.DictReader(file)
    assert (turned["field"], turned["value"], float(turned["dice_change"])) == ("voxels", "all", -0.25)
    text = (tmp_path / "dice.md").read_text()
    assert "the protocol sound" in text and "| first | data | voxels | all | 0.2500 | -0.2500 | 0.2000 |" in text
    assert "Baur" in (tmp_path / "postprocessing.md").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{suffix}" for name in ("dice", "postprocessing") for suffix in ("csv", "md")
    }


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_ablation_turns_one_field_at_a_time(cases, small, tmp_path):
    names = [(field_name, value) for field_name, value, _ in ablation.variations(small)]
    fields = {field_name for field_name, _ in names}
    assert fields >= {
        "as it is", "truth at", "labels", "slices", "grid", "voxels", "filter", "thresholds tried",
        "smallest component", "connectivity", "integer cast", "strip on", "threshold",
    }  # fmt: skip
    assert all(varied != small for name, _, varied in ablation.variations(small) if name != "as it is")
    assert "resize" in {name for name, _, _ in ablation.variations(protocols.load("experiment-1"))}
    assert len(set(names)) == len(names)
    small = replace(small, in_plane=15)
    plan = Plan(cases[:1], [RecipeSource(recipes.load("histeq"))], [small], tmp_path)
    table, walk = ablation.run(plan, small, no_progress)
    ablation.write(tmp_path / "ablation", small, table, walk)
    base = next(row for row in table if row.field == "as it is")
    assert base.dice_change == 0
    counts = count(cases[:1], plan.sources[0], small, tmp_path / "w").counts["mslub", "histeq"]
    assert base.dice == counts.oracle().dice
    by_value = {(row.field, row.value): row for row in table}
    assert by_value["truth at", "> 0.5"].dice_change == 0  # the truth was never interpolated
    assert by_value["integer cast", "on"].dice_change == 0  # whole numbers already
    assert by_value["smallest component", "none removed"].dice != base.dice
    assert [row.value for row in walk][1:3] == ["positive scores only", "+ eroded brain"]
    assert not (tmp_path / "work" / "ablation").exists()
    text = (tmp_path / "ablation" / "dice.md").read_text()
    assert "What your Dice is made of" in text
    assert len(rows(tmp_path / "ablation" / "dice.csv")) == len(table)
