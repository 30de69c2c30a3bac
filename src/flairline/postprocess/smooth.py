"""Smoothing a score by as much as the scan's own resolution leaves room for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from flairline.types import Scan, Volume

SD_PER_FULL_WIDTH = 1.0 / 2.3548


@dataclass(frozen=True)
class Smooth:
    """Gaussian of `full_width_mm` at half maximum, less along an axis whose voxels are that thick already.

    A voxel of side s has averaged over s; what is left to smooth is the rest of the quadratic sum, so a 4 mm slice is
    not smeared into its neighbours. Only the brain takes part: weights outside are zero.
    """

    full_width_mm: float

    def __call__(self, scan: Scan, score: Volume) -> Volume:
        """The smoothed score, zero outside the brain."""
        brain = scan.brain.array
        sides = np.array(scan.spacing_mm)
        rest = np.sqrt(np.clip(self.full_width_mm**2 - np.where(sides > 1.5, sides, 0.0) ** 2, 0, None))
        sigma = rest * SD_PER_FULL_WIDTH / sides
        total = ndimage.gaussian_filter(np.where(brain, score.array, np.float32(0)), sigma, mode="constant", truncate=3)
        weight = ndimage.gaussian_filter(brain.astype(np.float32), sigma, mode="constant", truncate=3)
        smooth = np.where(brain, total / np.maximum(weight, 1e-3), 0)
        return Volume(smooth.astype(np.float32), score.space)
