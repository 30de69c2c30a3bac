"""One field of a protocol turned after the other."""

from __future__ import annotations

import csv
from dataclasses import replace

from flairline import recipes
from flairline.benchmarking import ablation
from flairline.benchmarking.judge import count
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.source import RecipeSource
from flairline.evaluation import protocols
from flairline.types import no_progress


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
