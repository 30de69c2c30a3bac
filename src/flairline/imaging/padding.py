"""A small scan in a far larger grid of one value: cut out for what expects a head to fill its grid, and put back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from flairline.imaging.boxes import voxels_in
from flairline.types import BoolArray, Volume

MAX_FIELD_MM = 300.0
"""No head fills a longer side than this."""
MAX_FILLED = 0.2
"""A head fills more of a scanner's grid than this; less is padding that somebody added."""
MARGIN_MM = 10.0
"""How much of the padding stays around what is cut out."""


@dataclass(frozen=True)
class Inside:
    """What is not padding: the image cut out, and where it was (x, y, z)."""

    volume: Volume
    box: tuple[slice, slice, slice]
    shape: tuple[int, int, int]

    def put_back(self, found: BoolArray) -> BoolArray:
        """A mask of what was cut out, on the whole grid."""
        whole = np.zeros(self.shape, np.bool_)
        whole[self.box] = found
        return whole


def without_padding(volume: Volume, background: float) -> Inside:
    """The image cut to what differs from `background` where that is a small part of a field larger than any head's.

    All other images, and those whose background is NaN (there is no constant one), stay whole.
    """
    shape, spacing_mm = volume.space.shape, np.array(volume.space.spacing_mm)
    everything = tuple(slice(0, side) for side in shape)
    whole = Inside(volume, everything, shape)  # type: ignore[arg-type]
    if np.isnan(background) or (np.array(shape) * spacing_mm).max() <= MAX_FIELD_MM:
        return whole
    differs = volume.array != background
    along = [np.flatnonzero(differs.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    if min(map(len, along)) == 0:
        return whole
    sides = np.array([line[-1] - line[0] + 1 for line in along])
    if sides.prod() > MAX_FILLED * np.prod(shape):
        return whole
    margin = voxels_in(MARGIN_MM, spacing_mm)
    first = [max(int(line[0]) - int(extra), 0) for line, extra in zip(along, margin, strict=True)]
    last = [min(int(line[-1]) + int(extra) + 1, side) for line, extra, side in zip(along, margin, shape, strict=True)]
    x, y, z = (slice(start, end) for start, end in zip(first, last, strict=True))
    vox_to_ras = volume.space.vox_to_ras.copy()
    vox_to_ras[:3, 3] = (vox_to_ras @ [*first, 1])[:3]
    array = np.ascontiguousarray(volume.array[x, y, z])
    space = replace(volume.space, shape=array.shape, vox_to_ras=vox_to_ras, stored=None)
    return Inside(Volume(array, space), (x, y, z), shape)
