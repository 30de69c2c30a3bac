"""Measuring masks: how two of them overlap, and the lesions of one, each a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from flairline.imaging.components import label_components
from flairline.types import Lesion, Mask

Rating = Callable[[NDArray[np.integer]], NDArray[np.floating]]
"""From numbered components (x, y, z) to the probability of each, the first component's first."""
Naming = Callable[[NDArray[np.integer]], Sequence[str]]
"""From numbered components (x, y, z) to the region of each, the first component's first."""


def lesions_of(mask: Mask, brain: Mask, rating: Rating | None = None, naming: Naming | None = None) -> list[Lesion]:
    """The components of a mask (joined by faces, edges or corners), largest first.

    A centre is a centroid in scanner mm; its side is that of the brain's centroid that it lies on, the middle is left.
    No side is named where the scan's file says no orientation.

    Parameters
    ----------
    mask, brain
        On one grid. The brain must not be empty: sides are told from its centroid.
    rating
        Gives each component its probability.
    naming
        Gives each component its region.
    """
    labels, sizes = label_components(mask.array)
    chances = None if rating is None else rating(labels)
    regions = None if naming is None else naming(labels)
    middle_mm = _centre_mm(np.argwhere(brain.array), brain.space.vox_to_ras)
    places, numbers = np.argwhere(mask.array), labels[mask.array]
    by_number = places[np.argsort(numbers, kind="stable")]
    components = np.split(by_number, np.cumsum(sizes[1:])[:-1]) if sizes.size > 1 else []
    lesions = []
    for place in _largest_first(sizes):
        x, y, z = _centre_mm(components[place], mask.space.vox_to_ras).tolist()
        count = len(components[place])
        side = ("right" if x > middle_mm[0] else "left") if mask.space.sides_known else ""
        chance = None if chances is None else float(chances[place])
        region = None if regions is None else regions[place]
        lesions.append(Lesion(count * mask.space.voxel_ml, count, (x, y, z), side, chance, region=region))
    return lesions


def lesion_numbers(mask: Mask) -> NDArray[np.int32]:
    """The mask (x, y, z) with the number of its lesion in each voxel: that of its row in `lesions_of`, from 1."""
    labels, sizes = label_components(mask.array)
    numbers = np.zeros(sizes.size, np.int32)
    for number, place in enumerate(_largest_first(sizes), start=1):
        numbers[place + 1] = number
    return numbers[labels]


def dice(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    """Dice overlap of two masks on one grid; NaN if both are empty."""
    total = np.count_nonzero(left) + np.count_nonzero(right)
    return float(2.0 * np.count_nonzero(left & right) / total) if total else float("nan")


def _largest_first(sizes: NDArray[np.int64]) -> list[int]:
    """The components' places, from 0, the largest first; `sizes` begins with the voxels of none."""
    return sorted(range(sizes.size - 1), key=lambda place: -int(sizes[place + 1]))


def _centre_mm(voxels: NDArray[np.integer], vox_to_ras: NDArray[np.float64]) -> NDArray[np.float64]:
    return vox_to_ras[:3, :3] @ voxels.mean(axis=0) + vox_to_ras[:3, 3]
