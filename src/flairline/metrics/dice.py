"""Dice of one scan's mask at the recipe's own label-free threshold."""

import numpy as np

from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray) -> float:
    """2 |mask and truth| / (|mask| + |truth|); NaN where the truth has no lesion."""
    if not truth.any():
        return float("nan")
    return 2.0 * np.count_nonzero(mask & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))
