"""Volume that runs far over the lesions that are touched."""

import math

import numpy as np

from flairline.evaluation.errors import Differences
from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray, spacing_mm: tuple[float, float, float]) -> float:
    """False voxels of components that touch a lesion, more than 3 mm from the truth, in ml; always defined."""
    far = Differences.boxed(mask, truth, spacing_mm).far
    return np.count_nonzero(far) * math.prod(spacing_mm) / 1000.0
