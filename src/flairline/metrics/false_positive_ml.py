"""Volume that was marked outside the truth: all of the mask where a scan has no lesion."""

import math

import numpy as np

from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray, spacing_mm: tuple[float, float, float]) -> float:
    """Marked but not lesion, in ml; always defined."""
    return np.count_nonzero(mask & ~truth) * math.prod(spacing_mm) / 1000.0
