"""Steps need only the brain's box, which is about a third of a volume."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flairline.imaging.boxes import box_of
from flairline.types import Mask, Scan, Space, Volume

MARGIN_VOXELS = 3


def to_box(scan: Scan, score: Volume) -> tuple[Scan, Volume, tuple[slice, ...]]:
    """Scan and score cut to the brain's box with a margin, and where the box lies; T1 and T2 are left out."""
    where = box_of(scan.brain.array, MARGIN_VOXELS)
    shift = np.eye(4)
    shift[:3, 3] = [side.start for side in where]
    x, y, z = scan.brain.array[where].shape
    space = Space((x, y, z), scan.space.vox_to_ras @ shift, scan.space.name)
    flair, brain = Volume(scan.flair.array[where], space), Mask(scan.brain.array[where], space)
    return replace(scan, images={"flair": flair}, brain=brain), Volume(score.array[where], space), where


def from_box(inner: Volume, where: tuple[slice, ...], space: Space) -> Volume:
    """A score of the box on the whole grid, zero elsewhere."""
    array = np.zeros(space.shape, dtype=np.float32)
    array[where] = inner.array
    return Volume(array, space)
