"""What a plan makes of its protocols."""

from __future__ import annotations

from pathlib import Path

from flairline.benchmarking.plan import Plan
from flairline.evaluation import protocols


def test_a_plan_without_slices_judges_by_its_protocols_as_they_are():
    chosen = [protocols.load("sound"), protocols.load("native")]
    plan = Plan([], [], chosen, Path("out"))
    assert list(plan.judged_by) == chosen
    assert plan.work == Path("out/work")


def test_a_plan_of_few_slices_says_so_in_each_protocol():
    plan = Plan([], [], [protocols.load("sound")], Path("out"), slices=12)
    (protocol,) = plan.judged_by
    assert protocol.brain_slices == 12 and protocol.describe()["brain_slices"] == 12
    assert "brain_slices" not in protocols.load("sound").describe()
