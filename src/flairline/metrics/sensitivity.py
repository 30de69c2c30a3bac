"""Share of a scan's lesion voxels that were found."""

import numpy as np

from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray) -> float:
    """|mask and truth| / |truth|; NaN where the truth has no lesion."""
    if not truth.any():
        return float("nan")
    return np.count_nonzero(mask & truth) / np.count_nonzero(truth)
