"""Measuring masks: how two of them overlap, and the lesions of one, each a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flairline.imaging.components import label_components
from flairline.types import Mask

Rating = Callable[[NDArray[np.integer]], NDArray[np.floating]]
"""From numbered components (x, y, z) to the probability of each, the first component's first."""


@dataclass(frozen=True)
class Lesion:
    """One connected component of a mask.

    Attributes
    ----------
    id
        1 for the largest, and so on.
    ml, voxels
        Its volume.
    side
        The side of the brain's centroid that its own centroid lies on; the middle counts as left.
    centre_mm
        Its centroid in scanner mm (right, anterior and superior positive).
    probability
        The probability to be a lesion, in [0, 1]; None where nothing rates it.
    """

    id: int
    ml: float
    voxels: int
    side: Literal["left", "right"]
    centre_mm: tuple[float, float, float]
    probability: float | None = None


def lesions_of(mask: Mask, brain: Mask, rating: Rating | None = None) -> list[Lesion]:
    """The components of a mask (joined by faces, edges or corners), largest first.

    Parameters
    ----------
    mask, brain
        On one grid. The brain must not be empty: sides are told from its centroid.
    rating
        Gives each component its probability.
    """
    labels, sizes = label_components(mask.array)
    chances = None if rating is None else rating(labels)
    middle_mm = _centre_mm(np.argwhere(brain.array), brain.space.vox_to_ras)
    places, numbers = np.argwhere(mask.array), labels[mask.array]
    by_number = places[np.argsort(numbers, kind="stable")]
    components = np.split(by_number, np.cumsum(sizes[1:])[:-1]) if sizes.size > 1 else []
    lesions: list[Lesion] = []
    for place in sorted(range(len(components)), key=lambda place: -len(components[place])):
        centre_mm = _centre_mm(components[place], mask.space.vox_to_ras)
        lesions.append(
            Lesion(
                id=len(lesions) + 1,
                ml=len(components[place]) * mask.space.voxel_ml,
                voxels=len(components[place]),
                side="right" if centre_mm[0] > middle_mm[0] else "left",
                centre_mm=(float(centre_mm[0]), float(centre_mm[1]), float(centre_mm[2])),
                probability=None if chances is None else float(chances[place]),
            )
        )
    return lesions


def dice(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    """Dice overlap of two masks on one grid; NaN if both are empty."""
    total = np.count_nonzero(left) + np.count_nonzero(right)
    return float(2.0 * np.count_nonzero(left & right) / total) if total else float("nan")


def _centre_mm(voxels: NDArray[np.integer], vox_to_ras: NDArray[np.float64]) -> NDArray[np.float64]:
    return vox_to_ras[:3, :3] @ voxels.mean(axis=0) + vox_to_ras[:3, 3]
