"""Which lesions of two visits are the same, and what became of each: new, enlarging, stable, shrinking, resolved.

A lesion is a 26-connected component of one visit's mask, numbered as in that visit's own table. Lesions of the two
visits that overlap or touch on a common grid are one; so a lesion that fell apart, or two that grew together, are one
row with all their numbers. Volumes are those of the visits' own grids: no voxel is gained or lost by carrying a mask.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.components import label_components
from flairline.imaging.points import PointMap
from flairline.types import BoolArray, Mask, Space

NEW, ENLARGING, STABLE, SHRINKING, RESOLVED = "new", "enlarging", "stable", "shrinking", "resolved"
NOT_COVERED = "not covered"
"""Most of it lies where the other visit has no brain: nobody can say what became of it."""
KINDS = (NEW, ENLARGING, SHRINKING, RESOLVED, STABLE, NOT_COVERED)
"""In the order of tables: what changed comes first."""

Link = tuple[tuple[int, ...], tuple[int, ...]]
"""Numbers of the earlier and of the later visit's lesions that are one."""


def numbered(mask: Mask) -> NDArray[np.int32]:
    """The lesions of a mask (x, y, z) numbered as a summary lists them: 1 is the largest, 0 where nothing is set."""
    labels, sizes = label_components(mask.array)
    order = sorted(range(1, sizes.size), key=lambda number: -sizes[number])  # stable, as `measure.lesions_of` sorts
    numbers = np.zeros(sizes.size, np.int32)
    numbers[order] = np.arange(1, sizes.size)
    return numbers[labels]


def carried_labels(labels: NDArray[np.int32], space: Space, onto: Space, onto_to_space: PointMap) -> NDArray[np.int32]:
    """Numbered lesions (x, y, z) on another grid, by nearest neighbours; one that falls between its voxels keeps one.

    Parameters
    ----------
    onto_to_space
        Points (RAS mm) of the other grid to points of the labels'.
    """
    matrix = np.linalg.inv(space.vox_to_ras) @ onto_to_space.ras_to_ras @ onto.vox_to_ras
    carried = ndimage.affine_transform(
        labels, matrix[:3, :3], matrix[:3, 3], output_shape=onto.shape, order=0, mode="constant", prefilter=False
    )
    lost = np.setdiff1d(np.unique(labels), np.unique(carried))
    if lost.size:
        centres = np.array(ndimage.center_of_mass(labels > 0, labels, lost))
        back = np.linalg.inv(matrix)
        for number, centre in zip(lost, np.rint(centres @ back[:3, :3].T + back[:3, 3]).astype(int), strict=True):
            if number and ((centre >= 0) & (centre < onto.shape)).all():
                carried[tuple(centre)] = number
    return carried


def linked(earlier: NDArray[np.integer], later: NDArray[np.integer], counts: tuple[int, int]) -> list[Link]:
    """Lesions that overlap or touch (by faces, edges or corners), each lesion in exactly one link.

    Parameters
    ----------
    earlier, later
        Numbered lesions (x, y, z) of both visits on one grid.
    counts
        How many lesions the visits have; a number that lies nowhere on the grid is linked to nothing.
    """
    pairs = _touching(earlier, later)
    partners: dict[tuple[int, int], set[tuple[int, int]]] = {
        (visit, number): set() for visit in (0, 1) for number in range(1, counts[visit] + 1)
    }
    for first, second in pairs:
        partners[0, first].add((1, second))
        partners[1, second].add((0, first))
    links, seen = [], set()
    for start in partners:
        if start in seen:
            continue
        group, waiting = set(), [start]
        while waiting:
            lesion = waiting.pop()
            if lesion not in group:
                group.add(lesion)
                waiting += partners[lesion]
        seen |= group
        links.append(tuple(tuple(sorted(n for visit, n in group if visit == which)) for which in (0, 1)))
    return links  # type: ignore[return-value]


def volumes_of(labels: NDArray[np.integer], voxel_ml: float) -> list[float]:
    """Volume in ml of each number, the first of number 1."""
    return [float(size) * voxel_ml for size in np.bincount(labels.ravel())[1:]]


def places_by_number(labels: NDArray[np.integer], count: int) -> list[NDArray[np.int64]]:
    """Voxels (n, 3) of each number from 1 to `count`, none where it lies nowhere."""
    places = np.argwhere(labels > 0)
    numbers = labels[tuple(places.T)]
    by_number = places[np.argsort(numbers, kind="stable")]
    sizes = np.bincount(numbers, minlength=count + 1)[1:]
    return np.split(by_number, np.cumsum(sizes)[:-1]) if count else []


@dataclass(frozen=True)
class Spread:
    """How far the volume of one and the same lesion differs when the same head is measured again.

    Attributes
    ----------
    of_lesion
        In ml^(1/3): a lesion of the mean volume v ml is measured alike within ``of_lesion * v ** (2 / 3)`` ml. Two
        thirds, because what differs lies on the lesion's border, whose area goes with that power. NaN: not known.
    of_all
        As a share of the mean volume of all lesions together. NaN: not known.
    """

    of_lesion: float = float("nan")
    of_all: float = float("nan")

    def smallest_of_lesion_ml(self, earlier_ml: float, later_ml: float) -> float:
        """The smallest change of a lesion that can be believed; NaN where the spread is not known."""
        return float(self.of_lesion * ((earlier_ml + later_ml) / 2) ** (2 / 3))

    def smallest_of_all_ml(self, earlier_ml: float, later_ml: float) -> float:
        """The smallest change of all lesions together that can be believed; NaN where the spread is not known."""
        return float(self.of_all * (earlier_ml + later_ml) / 2)


def spread_of(earlier_ml: float, later_ml: float) -> float:
    """The `Spread.of_lesion` that just explains a pair of volumes."""
    return float(abs(later_ml - earlier_ml) / ((earlier_ml + later_ml) / 2) ** (2 / 3))


def kind_of(earlier_ml: float, later_ml: float, smallest_ml: float) -> str:
    """What became of a lesion: `STABLE` if its volume changed by less than `smallest_ml` (NaN: any change counts)."""
    change = later_ml - earlier_ml
    if change == 0 or abs(change) < smallest_ml:
        return STABLE
    if change > 0:
        return ENLARGING if earlier_ml > 0 else NEW
    return SHRINKING if later_ml > 0 else RESOLVED


def sums_by_kind(
    kinds: Sequence[str], volumes_ml: Sequence[tuple[float, float]]
) -> Mapping[str, tuple[int, float, float]]:
    """Number of lesions, earlier and later ml of each of `KINDS`, nought where there is none."""
    counts = Counter(kinds)
    sums = {kind: [0.0, 0.0] for kind in KINDS}
    for kind, (earlier_ml, later_ml) in zip(kinds, volumes_ml, strict=True):
        sums[kind][0] += earlier_ml
        sums[kind][1] += later_ml
    return {kind: (counts[kind], *sums[kind]) for kind in KINDS}  # type: ignore[misc]


def marked(labels: NDArray[np.integer], numbers: Sequence[int]) -> BoolArray:
    """Where the labels (x, y, z) have one of these numbers."""
    wanted = np.zeros(int(labels.max(initial=0)) + 1, np.bool_)
    wanted[[number for number in numbers if number < wanted.size]] = True
    wanted[0] = False
    return wanted[labels]


def _touching(earlier: NDArray[np.integer], later: NDArray[np.integer]) -> set[tuple[int, int]]:
    """Pairs of numbers, one of each visit, that share a voxel or are neighbours."""
    places = np.argwhere(earlier > 0)
    if not places.size:
        return set()
    numbers = earlier[tuple(places.T)].astype(np.int64)
    padded = np.pad(later, 1)
    found = []
    for shift in itertools.product((0, 1, 2), repeat=3):
        others = padded[tuple((places + shift).T)]
        both = others > 0
        found.append(np.unique(np.stack([numbers[both], others[both].astype(np.int64)], axis=1), axis=0))
    return {(int(first), int(second)) for first, second in np.concatenate(found)}
