"""Volume of the lesions that are not touched."""

import math

import numpy as np

from flairline.evaluation.errors import Differences
from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray, spacing_mm: tuple[float, float, float]) -> float:
    """Lesions (26-connected) without a voxel of the mask, in ml; NaN without lesions."""
    if not truth.any():
        return float("nan")
    missed = Differences.boxed(mask, truth, spacing_mm).missed
    return np.count_nonzero(missed) * math.prod(spacing_mm) / 1000.0
