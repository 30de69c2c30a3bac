"""Lesion volume of the mask minus that of the truth."""

import math

import numpy as np

from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray, spacing_mm: tuple[float, float, float]) -> float:
    """In ml, positive where too much was marked; always defined."""
    return (int(np.count_nonzero(mask)) - int(np.count_nonzero(truth))) * math.prod(spacing_mm) / 1000.0
