"""Which judged scans get a page."""

from __future__ import annotations

import pytest

from flairline.errors import InputError
from flairline.report import judged as judged_pages
from flairline.report.pages import CohortScan
from flairline.summary import Flag, Quality, Summary


def test_who_is_looked_at_of_many():
    scans = [
        CohortScan(
            Summary(subject=f"s{i}", dataset="d"), folder=f"d/s{i}", method="m", metrics={"dice_at_oracle": dice}
        )
        for i, dice in enumerate([0.5 + 0.01 * (i % 10) for i in range(40)] + [0.01])
    ]
    flagged = CohortScan(
        Summary(subject="f", dataset="d", qc=Quality(flags=(Flag(reason="noisy"),))),
        folder="d/f",
        method="m",
        metrics={},
    )
    chosen = judged_pages.to_look_at([*scans, flagged])
    dice = sorted(scan.metrics.get("dice_at_oracle", 9) for scan in chosen)
    assert dice == pytest.approx([0.01, 0.5, 0.5, 0.59, 0.59, 0.59, 9])


def test_a_word_that_is_none_of_three_is_refused():
    assert judged_pages.checked_pages("all") == "all"
    with pytest.raises(InputError, match="all, some or none"):
        judged_pages.checked_pages("twelve")
