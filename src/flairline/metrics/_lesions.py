"""Counting lesions instead of voxels."""

from __future__ import annotations

import numpy as np

from flairline.postprocess.components import label_components
from flairline.types import BoolArray


def count_hits(lesions: BoolArray, other: BoolArray) -> tuple[int, int]:
    """How many 26-connected components of `lesions` share a voxel with `other`, and how many there are."""
    if not lesions.any():
        return 0, 0
    labels, sizes = label_components(lesions)
    touched = np.unique(labels[other & lesions])
    return int(np.count_nonzero(touched)), sizes.size - 1
