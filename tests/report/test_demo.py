"""The whole way on a phantom made on the spot."""

from __future__ import annotations

from flairline import recipes
from flairline.benchmarking.rows import COHORT
from flairline.report import demo
from flairline.types import no_progress


def test_the_demo_segments_judges_and_draws_a_phantom(tmp_path):
    shown = demo.run(tmp_path, 1, 4.0, 0, no_progress)
    assert shown.recipe == recipes.default().method
    assert all(path.exists() for path in (shown.cohort, *shown.pages, *shown.pictures))
    dice = {row.method: row.value for row in shown.rows if (row.subject, row.metric) == (COHORT, "dice")}
    assert len(dice) == 2 and dice["default"] > dice["brightest"] > 0.1
    assert (tmp_path / "benchmark" / "rows.csv").exists() and not (tmp_path / "benchmark" / "work").exists()
    assert sum(int(found) for _, _, found in shown.found_by_kind) > 0
