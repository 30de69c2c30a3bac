"""What a component filter leaves at every threshold, in one pass.

Voxels enter from the brightest down, a union-find joins neighbours, and a component counts from the moment it reaches
the minimum size. As components only grow, what the filter keeps only grows too, so it can be stored as gains by bin.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from flairline.types import BoolArray


def filtered_gains(
    bins: NDArray[np.int32],
    truth: BoolArray,
    places: NDArray[np.int64],
    shape: tuple[int, int, int],
    n_bins: int,
    smallest_kept_voxels: int,
    connectivity: int = 26,
) -> NDArray[np.int64]:
    """True and false voxels that components of at least the given size gain at each bin.

    Parameters
    ----------
    bins, truth, places
        One entry a voxel: its bin, whether it is lesion, its flat index (C order) in a box of `shape`.

    Returns
    -------
    (2, n_bins) array; its cumulated sum from the highest bin down is what the filter leaves at each threshold.
    """
    gained = np.zeros((2, n_bins), np.int64)
    if bins.size == 0:
        return gained
    x, rest = np.divmod(places, shape[1] * shape[2])
    y, z = np.divmod(rest, shape[2])
    low = [int(axis.min()) for axis in (x, y, z)]
    padded = [int(axis.max()) - start + 3 for axis, start in zip((x, y, z), low, strict=True)]
    strides = np.array([padded[1] * padded[2], padded[2], 1], dtype=np.int64)
    # A margin of one voxel all around, so that a step to a neighbour never leaves the box.
    padded_places = (x - low[0] + 1) * strides[0] + (y - low[1] + 1) * strides[1] + (z - low[2] + 1)
    around = neighbour_steps(connectivity)
    steps = (np.array(around, dtype=np.int64) @ strides).astype(np.int32)
    order = _order_by_bin(bins, n_bins)
    n_places = int(np.prod(padded))
    _grow(
        bins[order],
        padded_places[order].astype(np.int32),
        truth[order],
        n_places,
        steps,
        _joined(around),
        smallest_kept_voxels,
        gained,
    )
    return gained


def neighbour_steps(connectivity: int) -> list[tuple[int, int, int]]:
    """The 6, 18 or 26 neighbours of a voxel as (x, y, z) steps, those by face first."""
    most_axes = {6: 1, 18: 2, 26: 3}[connectivity]
    steps = [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]
    return sorted((step for step in steps if 1 <= _axes(step) <= most_axes), key=_axes)


def _axes(step: tuple[int, int, int]) -> int:
    return sum(map(abs, step))


def _joined(steps: list[tuple[int, int, int]]) -> NDArray[np.uint32]:
    """For each step, a bit for every step whose voxels are neighbours of each other (and for itself).

    Two marked neighbours are always in one component already, so joining one of them joins both: with a marked
    neighbour above, 17 of the 26 need no look.
    """
    return np.array(
        [
            sum(1 << j for j, other in enumerate(steps) if tuple(np.subtract(step, other)) in {*steps, (0, 0, 0)})
            for step in steps
        ],
        dtype=np.uint32,
    )


@numba.njit(cache=True, nogil=True)
def _order_by_bin(bins: NDArray[np.int32], n_bins: int) -> NDArray[np.int32]:
    """Voxel numbers from the highest bin down (counting sort)."""
    next_place = np.zeros(n_bins + 1, np.int64)
    for level in bins:
        next_place[n_bins - level] += 1
    for k in range(1, n_bins + 1):
        next_place[k] += next_place[k - 1]
    order = np.empty(bins.size, np.int32)
    for voxel in range(bins.size):
        k = n_bins - 1 - bins[voxel]
        order[next_place[k]] = voxel
        next_place[k] += 1
    return order


@numba.njit(cache=True, nogil=True)
def _find(parent: NDArray[np.int32], place: int) -> int:
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


@numba.njit(cache=True, nogil=True)
def _grow(
    bins: NDArray[np.int32],
    places: NDArray[np.int32],
    truth: NDArray[np.bool_],
    n_places: int,
    steps: NDArray[np.int32],
    joined: NDArray[np.uint32],
    smallest_kept_voxels: int,
    gained: NDArray[np.int64],
) -> None:
    """Add to gained[0] (true) and gained[1] (false) what large enough components gain.

    Voxels come in the order in which they enter.
    """
    parent = np.full(n_places, -1, np.int32)  # by place; -1: not entered yet
    size = np.ones(n_places, np.int32)
    trues = np.zeros(n_places, np.int32)
    for voxel in range(places.size):
        level, root = bins[voxel], places[voxel]
        place = root
        parent[root] = root
        trues[root] = truth[voxel]
        if smallest_kept_voxels <= 1:
            gained[0 if truth[voxel] else 1, level] += 1
        seen = np.uint32(0)
        for number in range(steps.size):
            if seen >> np.uint32(number) & np.uint32(1):
                continue
            other = parent[place + steps[number]]
            if other < 0:
                continue
            seen |= joined[number]
            if other == root:
                continue
            other = _find(parent, other)
            if other == root:
                continue
            if size[other] > size[root]:
                root, other = other, root
            was_kept = size[root] >= smallest_kept_voxels
            if was_kept and size[other] < smallest_kept_voxels:
                gained[0, level] += trues[other]
                gained[1, level] += size[other] - trues[other]
            parent[other] = root
            size[root] += size[other]
            trues[root] += trues[other]
            if not was_kept and size[root] >= smallest_kept_voxels:
                gained[0, level] += trues[root]
                gained[1, level] += size[root] - trues[root]
