"""Places where a bright voxel of a FLAIR is mostly no lesion: the brain's rim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

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
