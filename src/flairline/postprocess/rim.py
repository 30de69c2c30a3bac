"""Places where a bright voxel of a FLAIR is mostly no lesion: the brain's rim, and thin rims along CSF."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from flairline.imaging.tissue import normal_tissue
from flairline.types import Scan, Volume


@dataclass(frozen=True)
class BrainRim:
    """Zero within `depth_mm` of the brain's outer border: skull, dura and fat that brain extraction left.

    Holes inside the brain are no border.
    """

    depth_mm: float

    def __call__(self, scan: Scan, score: Volume) -> Volume:
        """The score without the rim."""
        brain = ndimage.binary_fill_holes(scan.brain.array)
        padded = np.pad(brain, 1)  # the end of the field of view is a border too
        depth = ndimage.distance_transform_edt(padded, sampling=scan.spacing_mm)[1:-1, 1:-1, 1:-1]
        return Volume(np.where(depth > self.depth_mm, score.array, np.float32(0)), score.space)


@dataclass(frozen=True)
class FluidBorder:
    """The score at the border of CSF falls to what survives an opening: partial volumes and thin rims go.

    A voxel is at the border if one as dark as fluid, `fluid_widths` half-widths below normal tissue, lies within
    `reach_mm`. A lesion there that is thicker than `thickness_mm` stays.
    """

    thickness_mm: float = 2.0
    reach_mm: float = 2.0
    fluid_widths: float = 3.0

    def __call__(self, scan: Scan, score: Volume) -> Volume:
        """The score with thin rims along the fluid taken down."""
        brain, spacing = scan.brain.array, np.array(scan.spacing_mm)
        fluid = (normal_tissue(scan.flair.array[brain]).z(scan.flair.array) < -self.fluid_widths) & brain
        near = ndimage.maximum_filter(fluid, size=_odd(self.reach_mm * 2, spacing))
        opened = ndimage.grey_opening(score.array, size=_odd(self.thickness_mm, spacing))
        return Volume(np.where(near, opened, score.array).astype(np.float32), score.space)


def _odd(width_mm: float, spacing_mm: np.ndarray) -> tuple[int, ...]:
    """Sides in voxels of a box about `width_mm` wide, odd, at least one."""
    return tuple(int(2 * np.floor(width_mm / side / 2) + 1) for side in spacing_mm)
