"""A pooled metric that fails takes nothing else down."""

from __future__ import annotations

import numpy as np

from flairline import registry
from flairline.benchmarking import rows
from flairline.benchmarking.rows import Measured
from flairline.evaluation import protocols
from flairline.evaluation.counts import Counts
from flairline.evaluation.pooled import pooled_metric
from flairline.types import Case


def broken(counts: Counts) -> float:
    """A metric as somebody may write it."""
    raise ZeroDivisionError("no voxels")


def test_one_that_fails_is_undefined_and_named(caplog):
    assert np.isnan(pooled_metric("mine", broken, Counts.empty()))
    assert "the metric mine of the pooled voxels is undefined (nan): ZeroDivisionError: no voxels" in caplog.text


def test_the_other_rows_are_there(monkeypatch):
    load = registry.load
    monkeypatch.setattr(registry, "load", lambda kind, name: broken if name == "auroc" else load(kind, name))
    scans = [Measured(Case("d", name), {"dice": 0.5}) for name in "ab"]
    made = list(rows.rows_of_cohort("d", "m", protocols.load("sound"), Counts.empty(), scans, 0))
    (undefined,) = [row for row in made if row.metric == "auroc"]
    assert np.isnan([undefined.value, undefined.low, undefined.high]).all()
    assert {"auprc", "average_precision", "dice"} <= {row.metric for row in made}
