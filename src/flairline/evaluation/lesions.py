"""Counting lesions instead of voxels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flairline.imaging.components import label_components
from flairline.types import BoolArray

SIZE_CLASSES_ML = (0.0, 0.1, 1.0, 10.0, float("inf"))
"""Classes of a lesion's volume: each from one number (inclusive) to the next (exclusive)."""


def count_hits(lesions: BoolArray, other: BoolArray) -> tuple[int, int]:
    """How many 26-connected components of `lesions` share a voxel with `other`, and how many there are."""
    if not lesions.any():
        return 0, 0
    labels, sizes = label_components(lesions)
    touched = np.unique(labels[other & lesions])
    return int(np.count_nonzero(touched)), sizes.size - 1


def dice_of_lesions(truth: BoolArray, mask: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Voxels of every lesion of the truth, and its Dice with the found components that touch it (0: missed).

    Lesions and found components are 26-connected. What touches no lesion counts for none; a component that touches two
    counts for both, so lesions that were run into one are punished for it. Both arrays are (lesions,).
    """
    if not truth.any():
        return np.zeros(0, np.int64), np.zeros(0)
    lesions, sizes = label_components(truth)
    found, found_sizes = label_components(mask)
    both = truth & mask
    pairs, overlaps = np.unique(np.stack([lesions[both], found[both]]).astype(np.int64), axis=1, return_counts=True)
    overlap = np.bincount(pairs[0], overlaps, minlength=sizes.size)[1:]
    touching = np.bincount(pairs[0], found_sizes[pairs[1]], minlength=sizes.size)[1:]
    return sizes[1:], 2 * overlap / (sizes[1:] + touching)


@dataclass
class BySize:
    """Lesions of a cohort in classes of their volume: how many, how many hit, and the sum of their Dice.

    Of a fixed size, however many scans are added.
    """

    lesions: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(SIZE_CLASSES_ML) - 1, np.int64))
    hit: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(SIZE_CLASSES_ML) - 1, np.int64))
    dice: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(SIZE_CLASSES_ML) - 1))

    def add(self, truth: BoolArray, mask: BoolArray, voxel_ml: float) -> None:
        """Add one scan's lesions."""
        sizes, dice = dice_of_lesions(truth, mask)
        # Volumes are sums of rounded voxels: one on a class's edge must not fall below it.
        classes = np.digitize(sizes * voxel_ml * (1 + 1e-9), SIZE_CLASSES_ML[1:-1])
        n = self.lesions.size
        self.lesions += np.bincount(classes, minlength=n)
        self.hit += np.bincount(classes[dice > 0], minlength=n)
        self.dice += np.bincount(classes, dice, minlength=n)

    def rows(self) -> Iterator[dict[str, float]]:
        """Of each class with lesions: its bounds in ml, lesions, those hit, and the mean Dice of all of them."""
        for place in np.flatnonzero(self.lesions).tolist():
            low, high = SIZE_CLASSES_ML[place : place + 2]
            lesions = int(self.lesions[place])
            dice = float(self.dice[place] / lesions)
            yield {"low_ml": low, "high_ml": high, "lesions": lesions, "hit": int(self.hit[place]), "dice": dice}
