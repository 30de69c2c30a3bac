"""Volume of the mask's components that touch no lesion."""

import math

import numpy as np

from flairline.evaluation.errors import Differences
from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray, spacing_mm: tuple[float, float, float]) -> float:
    """Found components (26-connected) without a voxel of the truth, in ml; always defined."""
    islands = Differences.boxed(mask, truth, spacing_mm).islands
    return np.count_nonzero(islands) * math.prod(spacing_mm) / 1000.0
