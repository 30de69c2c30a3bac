"""The grid on which the U-Net sees a scan: the brain's box at about 1 mm, hung on the middle of the brain.

What a network says of a place depends a little on how its own grid lies there. The box of a brain begins elsewhere
where its mask differs by one voxel at the rim, or where the image ends; the middle of the brain does not, to a voxel.
So voxels of 1 mm are counted from there, and so are the cells of the network's coarser levels (`unet.pad`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.boxes import Box, box_of
from flairline.types import BoolArray, FloatArray

SAME_SPACING = 0.1
"""A grid whose spacing is within this share of 1 mm goes through the network as it is."""
MARGIN_VOXELS = 2

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class WorkingGrid:
    """Of one brain.

    Attributes
    ----------
    where
        The brain's box with a small margin, as far as the scan's grid has it.
    beyond
        Voxels of the margin that lie beyond either end of the scan's grid, by axis.
    middle
        The voxel of the box, with its margin, that is nearest to the brain's centre of mass.
    spacing_mm
        Of the scan's voxels.
    """

    where: Box
    beyond: tuple[tuple[int, int], ...]
    middle: Triple
    spacing_mm: tuple[float, float, float]

    @classmethod
    def of(cls, brain: BoolArray, spacing_mm: tuple[float, float, float]) -> WorkingGrid:
        """Of a mask (x, y, z) that is not empty."""
        tight, box = box_of(brain), box_of(brain, MARGIN_VOXELS)
        beyond = tuple(
            (MARGIN_VOXELS - (inner.start - outer.start), MARGIN_VOXELS - (outer.stop - inner.stop))
            for inner, outer in zip(tight, box, strict=True)
        )
        x, y, z = (round(float(place)) + MARGIN_VOXELS for place in ndimage.center_of_mass(brain[tight]))
        return cls(box, beyond, (x, y, z), spacing_mm)

    @property
    def kept(self) -> bool:
        """Whether the scan's own voxels are the grid's."""
        return all(abs(side - 1) <= SAME_SPACING for side in self.spacing_mm)

    @cached_property
    def box_shape(self) -> Triple:
        """Sides of the box with its margin, in voxels of the scan."""
        x, y, z = (side.stop - side.start + sum(out) for side, out in zip(self.where, self.beyond, strict=True))
        return x, y, z

    @cached_property
    def anchor(self) -> Triple:
        """`middle` in voxels of the grid; how many of them lie before it."""
        if self.kept:
            return self.middle
        x, y, z = (int((at + 0.5) * side) for at, side in zip(self.middle, self.spacing_mm, strict=True))
        return x, y, z

    @property
    def to_box(self) -> NDArray[np.float64]:
        """4x4, from voxels of the grid to voxels of the box."""
        sides = np.ones(3) if self.kept else np.array(self.spacing_mm)
        matrix = np.diag([*(1 / sides), 1.0])
        matrix[:3, 3] = np.array(self.middle) - np.array(self.anchor) / sides
        return matrix

    def boxed(self, array: NDArray, outside: float | bool) -> NDArray:
        """A volume of the scan cut to the box; `outside` where the scan's grid has ended."""
        return np.pad(array[self.where], self.beyond, constant_values=outside)

    def brought(self, image: FloatArray) -> FloatArray:
        """An image on the box, on the grid: smoothed where voxels are dropped, else by lines between its voxels."""
        if self.kept:
            return image
        sigma = [max(0.0, 0.4 * (1 / side - 1)) for side in self.spacing_mm]
        found = ndimage.gaussian_filter(image, sigma, mode="nearest")
        for axis, (at, first, side) in enumerate(zip(self.middle, self.anchor, self.spacing_mm, strict=True)):
            after = int((image.shape[axis] - 0.5 - at) * side)
            found = _by_lines(found, axis, at + np.arange(-first, after + 1) / side)
        return found

    def back(self, fine: FloatArray) -> FloatArray:
        """An image on the grid, on the part of the box that the scan has."""
        found = fine
        if not self.kept:
            for axis, (at, first, side) in enumerate(zip(self.middle, self.anchor, self.spacing_mm, strict=True)):
                found = _by_lines(found, axis, (np.arange(self.box_shape[axis]) - at) * side + first)
        x, y, z = (slice(before, n - after) for (before, after), n in zip(self.beyond, self.box_shape, strict=True))
        return found[x, y, z]


def _by_lines(array: FloatArray, axis: int, places: NDArray[np.floating]) -> FloatArray:
    """Linear interpolation along one axis; beyond its ends the last value goes on."""
    places = np.clip(places, 0, array.shape[axis] - 1)
    low = np.minimum(places.astype(np.intp), max(array.shape[axis] - 2, 0))
    share = (places - low).astype(np.float32).reshape([-1 if other == axis else 1 for other in range(3)])
    lower, upper = array.take(low, axis), array.take(np.minimum(low + 1, array.shape[axis] - 1), axis)
    return lower + share * (upper - lower)
