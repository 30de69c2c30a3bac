"""Places where a bright voxel of a FLAIR is mostly no lesion: the brain's rim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from flairline.imaging.boxes import box_of
from flairline.imaging.nearby import within_mm
from flairline.types import Scan, Volume


@dataclass(frozen=True)
class BrainRim:
    """Zero within `depth_mm` of the brain's outer border: skull, dura and fat that brain extraction left.

    Holes inside the brain are no border.
    """

    depth_mm: float

    def __call__(self, scan: Scan, score: Volume) -> Volume:
        """The score without the rim."""
        box = box_of(scan.brain.array)
        brain = np.pad(ndimage.binary_fill_holes(scan.brain.array[box]), 1)  # the end of the view is a border too
        rim = within_mm(~brain, scan.spacing_mm, self.depth_mm)[1:-1, 1:-1, 1:-1]
        inner = np.zeros_like(score.array)
        inner[box] = np.where(rim, np.float32(0), score.array[box])
        return Volume(inner, score.space)
