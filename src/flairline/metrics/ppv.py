"""Positive predictive value: share of a scan's marked voxels that are lesion."""

import numpy as np

from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray) -> float:
    """|mask and truth| / |mask|; NaN where nothing was marked."""
    if not mask.any():
        return float("nan")
    return np.count_nonzero(mask & truth) / np.count_nonzero(mask)
