"""Gaussian smoothing of which only a part of the grid is part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.types import BoolArray

SD_PER_FULL_WIDTH = 1.0 / 2.3548
"""Standard deviation of a normal curve over its full width at half maximum."""
TRUNCATE = 3
"""The kernel ends after so many standard deviations."""


def smooth_inside(
    values: NDArray[np.floating], inside: BoolArray, sigma: Sequence[float] | NDArray[np.floating], least: float = 1e-3
) -> NDArray[np.float32]:
    """The mean of the values around each voxel, weighted by a Gaussian, of `inside` alone (normalised convolution).

    Parameters
    ----------
    values, inside
        Both (x, y, z).
    sigma
        Standard deviation in voxels along each axis.
    least
        Where less of the Gaussian than this lies inside, the mean fades to zero.
    """
    total = ndimage.gaussian_filter(np.where(inside, values, np.float32(0)), sigma, mode="constant", truncate=TRUNCATE)
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma, mode="constant", truncate=TRUNCATE)
    return (total / np.maximum(weight, least)).astype(np.float32, copy=False)
