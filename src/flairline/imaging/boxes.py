"""Boxes around what is set in a mask: most of a volume is air."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flairline.types import BoolArray

STRAY_SHARE = 0.002
"""Share of a mask's voxels left out at either end of an axis of its extent, so that a stray voxel does not move it."""
SLACK_VOXELS = 1e-3
"""So much beyond a whole voxel is rounding."""

Box = tuple[slice, slice, slice]


def box_of(mask: BoolArray, margin_voxels: int | Sequence[int] = 0) -> Box:
    """The smallest box that holds the mask (x, y, z) and a margin, within the volume; all of it where nothing is set.

    Parameters
    ----------
    margin_voxels
        For each axis, or one for all.
    """
    margins = (margin_voxels,) * 3 if isinstance(margin_voxels, int) else margin_voxels
    x, y, z = (_side(mask, axis, margin) for axis, margin in enumerate(margins))
    return x, y, z


def box_of_mm(mask: BoolArray, spacing_mm: Sequence[float], margin_mm: float) -> Box:
    """As `box_of`, with a margin in mm that is rounded up to whole voxels."""
    return box_of(mask, voxels_in(margin_mm, spacing_mm).tolist())


def voxels_in(length_mm: ArrayLike, side_mm: ArrayLike) -> NDArray[np.int64]:
    """How many voxels a length takes, rounded up.

    A thousandth of a voxel more does not count: a header holds a side of 2 mm as 1.9999999 or 2.0000001, and one voxel
    more or less in a registration's grid lays a head elsewhere.
    """
    return np.ceil(np.asarray(length_mm) / np.asarray(side_mm) - SLACK_VOXELS).astype(np.int64)


def extent_without_strays(mask: BoolArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last voxel (inclusive) of the mask by axis, without `STRAY_SHARE` of its voxels at either end.

    The last is at least one voxel after the first.
    """
    low, high = np.empty(3), np.empty(3)
    for axis in range(3):
        counts = np.cumsum(mask.sum(axis=_others(axis)))
        low[axis] = np.searchsorted(counts, STRAY_SHARE * counts[-1])
        high[axis] = np.searchsorted(counts, (1 - STRAY_SHARE) * counts[-1])
    return low, np.maximum(high, low + 1)


def _side(mask: BoolArray, axis: int, margin_voxels: int) -> slice:
    used = np.flatnonzero(mask.any(axis=_others(axis)))
    if used.size == 0:
        return slice(0, mask.shape[axis])
    first, end = int(used[0]) - margin_voxels, int(used[-1]) + 1 + margin_voxels
    return slice(max(0, first), min(mask.shape[axis], end))


def _others(axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(3) if other != axis)
