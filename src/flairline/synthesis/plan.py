"""All that is drawn of one scan. Plain data: the same plan is rendered by numpy or by torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis.anatomy import Anatomy
from flairline.synthesis.contrast import Contrast
from flairline.synthesis.fields import Axes, Deformation
from flairline.synthesis.lesions import DrawnLesion
from flairline.synthesis.scanner import BrainMask, Scanner


@dataclass(frozen=True, eq=False)
class Extent:
    """Of an anatomy that is made of shares: which voxels of the scan are brain, and which the head around it."""

    brain: NDArray[np.bool_]
    shells: NDArray[np.int8] | None = None
    """0 nothing, 1 fluid, 2 bone, 3 scalp (x, y, z)."""

    @property
    def signal(self) -> NDArray[np.bool_]:
        """Where there is anything."""
        return self.brain if self.shells is None else self.brain | (self.shells > 0)


@dataclass(frozen=True, eq=False)
class ScanPlan:
    """One scan on the grid with the voxel centres `axes_mm`; contrasts and scanners by channel.

    An anatomy of shares has an `extent`, one of labels a `brain_mask`.
    """

    axes_mm: Axes
    anatomy: Anatomy
    deformation: Deformation
    contrasts: Mapping[str, Contrast]
    scanners: Mapping[str, Scanner]
    lesions: tuple[DrawnLesion, ...] = ()
    extent: Extent | None = None
    brain_mask: BrainMask | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the grid."""
        x, y, z = (len(axis) for axis in self.axes_mm)
        return x, y, z

    @property
    def vox_to_atlas(self) -> NDArray[np.float64] | None:
        """4x4, from voxels to mm of the atlas by the affine part of the deformation; None where nothing is known."""
        if self.anatomy.to_atlas is None:
            return None
        to_mm, to_anatomy = np.eye(4), np.eye(4)
        to_mm[:3, :3] = np.diag([axis[1] - axis[0] for axis in self.axes_mm])
        to_mm[:3, 3] = [axis[0] for axis in self.axes_mm]
        moved = self.deformation
        to_anatomy[:3, :3] = moved.matrix
        to_anatomy[:3, 3] = moved.target_mm - moved.matrix @ moved.middle_mm
        return self.anatomy.to_atlas @ to_anatomy @ to_mm


@dataclass(frozen=True, eq=False)
class Rendered:
    """A scan as it came out, in numpy (x, y, z)."""

    images: Mapping[str, NDArray[np.float32]]
    """Image of each channel of the plan."""
    brain: NDArray[np.bool_]
    share: NDArray[np.float32]
    """Share of lesion of each voxel, at the resolution of the first channel."""
    numbers: NDArray[np.int32]
    """0, or the number (from 1) of the first lesion that fills at least half of the voxel, before any blur."""
