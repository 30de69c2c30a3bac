"""Metrics of a cohort's pooled voxels, which may be anybody's: one that fails is undefined, and said."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flairline.evaluation.counts import Counts

log = logging.getLogger(__name__)

UNDEFINED = float("nan")


def pooled_metric(name: str, metric: Callable[..., float], counts: Counts) -> float:
    """The metric of a cohort's counts; NaN and a warning where it raises, so that the other figures are there."""
    try:
        return float(metric(counts=counts))
    except Exception as error:
        log.warning("the metric %s of the pooled voxels is undefined (nan): %s: %s", name, type(error).__name__, error)
        log.debug("its traceback", exc_info=True)
        return UNDEFINED
