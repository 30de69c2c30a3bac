"""Where normal brains are bright on a FLAIR: plexus, septum, brain stem, insula, rim of the cortex.

The map was made from synthetic scans alone (`flairline.synthesis.normal_places`): how bright, in half-widths above
normal tissue, a voxel of no lesion is at each place of the brain's box. It is symmetric, so left and right cannot be
mixed up, and coarse, because a box is no registration.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.boxes import extent_without_strays
from flairline.types import Scan, Volume

MAP = Path(__file__).parent / "_data" / "normal_places.npz"


@dataclass(frozen=True)
class NormalPlaces:
    """Take `strength` times the usual excess brightness of a place off the score, not below zero.

    For scores in half-widths above normal tissue, as `zscore` gives them.
    """

    strength: float = 1.0

    def __call__(self, scan: Scan, score: Volume) -> Volume:
        """The score less what is usual there."""
        usual = in_brain_box(normal_map(), scan.brain.array)
        left = np.maximum(score.array - self.strength * usual, 0)
        return Volume(np.where(scan.brain.array, left, 0).astype(np.float32), score.space)


@lru_cache(maxsize=1)
def normal_map() -> NDArray[np.float32]:
    """Mean plus standard deviation of the excess brightness over the brain's box (x, y, z)."""
    with np.load(MAP, allow_pickle=False) as stored:
        return stored["excess"].astype(np.float32)


def in_brain_box(chart: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A chart over the brain's box, laid onto the scan's grid."""
    low, high = extent_without_strays(brain)
    scale = (np.array(chart.shape) - 1) / (high - low)
    return ndimage.affine_transform(chart, scale, -low * scale, output_shape=brain.shape, order=1, mode="nearest")
