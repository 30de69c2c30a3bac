"""What lies within some mm of a mask: a short reach is asked for in whole brains, and needs no distance map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy import ndimage

from flairline.imaging.boxes import voxels_in
from flairline.types import BoolArray

MOST_SHIFTS = 250
"""More of them than this take longer than a distance map."""


def within_mm(mask: BoolArray, spacing_mm: Sequence[float], reach_mm: float) -> BoolArray:
    """Voxels whose centre is at most `reach_mm` from that of a voxel of the mask (x, y, z).

    The same as a Euclidean distance map's ``distance <= reach_mm``, in a tenth of the time where few voxels are within
    reach: the mask is widened along z, and laid upon itself at every shift along x and y.
    """
    sides = np.asarray(spacing_mm, np.float64)
    across, along, _ = (int(most) for most in voxels_in(reach_mm, sides))
    shifts = list(product(range(-across, across + 1), range(-along, along + 1)))
    if len(shifts) > MOST_SHIFTS:
        return np.asarray(ndimage.distance_transform_edt(~mask, sampling=sides) <= reach_mm) & mask.any()
    found = np.zeros_like(mask)
    by_height: dict[int, list[tuple[int, int]]] = {}
    for dx, dy in shifts:
        heights = np.arange(mask.shape[2])
        reached = np.sqrt((sides[0] * dx) ** 2 + (sides[1] * dy) ** 2 + (sides[2] * heights) ** 2) <= reach_mm
        if reached[0]:
            by_height.setdefault(int(np.count_nonzero(reached)) - 1, []).append((dx, dy))
    tall = mask.copy()
    for height in range(max(by_height, default=-1) + 1):
        if height:
            tall[:, :, height:] |= mask[:, :, :-height]
            tall[:, :, :-height] |= mask[:, :, height:]
        for dx, dy in by_height.get(height, ()):
            here, there = zip(*map(_overlap, (dx, dy)), strict=True)
            found[here] |= tall[there]
    return found


def _overlap(shift: int) -> tuple[slice, slice]:
    """Where a shifted axis and the unshifted one meet: in the result, in the source."""
    if shift < 0:
        return slice(None, shift), slice(-shift, None)
    return slice(shift, None), slice(None, -shift or None)
