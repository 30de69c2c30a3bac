"""Volume that is missing in the lesions that are touched."""

import math

import numpy as np

from flairline.evaluation.errors import Differences
from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray, spacing_mm: tuple[float, float, float]) -> float:
    """What the mask lacks of lesions that it shares a voxel with, in ml; NaN without lesions."""
    if not truth.any():
        return float("nan")
    inside = Differences.boxed(mask, truth, spacing_mm).inside
    return np.count_nonzero(inside) * math.prod(spacing_mm) / 1000.0
