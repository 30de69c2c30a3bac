"""A T1 whose lesions are filled by neighbouring white matter, for programs that measure tissues by it.

Dark lesions of white matter are taken for grey matter by FreeSurfer and FSL, and volumes of tissues are wrong by that
(Battaglini et al. 2012, doi:10.1002/hbm.21344; Chard et al. 2010, doi:10.1002/jmri.22214). Each voxel of a lesion gets
the mean of the white matter around it, weighted by nearness, so that a bias field goes on through the lesion, and noise
as wide as that white matter's own. Everything else stays as it was, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.errors import ImageError
from flairline.types import BoolArray, FloatArray, Mask, Volume

REACHES_MM = (3.0, 6.0, 12.0, 24.0, 48.0)
"""Sizes of the neighbourhood (standard deviation of its weights): the first that holds enough white matter is taken."""
ENOUGH = 0.05
"""Share of the neighbourhood's weight that must be white matter."""
TRUNCATE = 3.0
"""Where the weights end, in standard deviations."""
BINS = 256
TAIL = 0.002
"""Share of the brain's voxels at either end that does not set the histogram's range."""
ROUNDS = 100


@dataclass(frozen=True, eq=False)
class Around:
    """Mean and standard deviation of the white matter around each voxel of the lesions, in numpy's order (n)."""

    mean: FloatArray
    width: FloatArray


def fill_lesions(t1: Volume, lesions: Mask, brain: Mask, seed: int = 0) -> Volume:
    """The T1 with white matter in place of the lesions.

    Parameters
    ----------
    t1, lesions, brain
        On one grid (x, y, z); the T1 with or without its skull, white matter brighter than grey.
    seed
        Of the noise; the same one gives the same bytes.

    Raises
    ------
    ImageError
        The brain has no white matter that could be taken: it is empty, or of one value.
    """
    if not lesions.array.any():
        return t1
    white = white_matter(t1.array, brain.array & ~lesions.array)
    around = white_around(t1, white, lesions.array)
    noise = np.random.default_rng(seed).standard_normal(around.mean.size, np.float32)
    filled = t1.array.copy()
    filled[lesions.array] = np.maximum(around.mean + around.width * noise, 0)
    return Volume(filled, t1.space)


def white_matter(t1: FloatArray, healthy: BoolArray) -> BoolArray:
    """The inner voxels of the brightest of the T1's three tissues (x, y, z), those that share a face with others left.

    The tissues are three means of the histogram, moved until none moves (k-means). Where nothing is left without the
    border, the border stays.

    Raises
    ------
    ImageError
        There are no three tissues.
    """
    values = t1[healthy & np.isfinite(t1)]
    low, high = np.quantile(values, (TAIL, 1 - TAIL)) if values.size else (0.0, 0.0)
    if not high > low:
        msg = "Wanted a T1 with white matter to fill its lesions with, but its brain is empty or of one value."
        raise ImageError(msg)
    counts, edges = np.histogram(values, bins=BINS, range=(low, high))
    white = healthy & (t1 >= _white_from(counts, (edges[:-1] + edges[1:]) / 2))
    inner = ndimage.binary_erosion(white)
    return inner if inner.any() else white


def _white_from(counts: NDArray[np.integer], centres: NDArray[np.floating]) -> float:
    """The grey value half-way between the means of the middle and of the brightest of three tissues."""
    means = np.linspace(centres[0], centres[-1], 3)
    for _ in range(ROUNDS):
        edges = (means[:-1] + means[1:]) / 2
        tissue = np.digitize(centres, edges)
        weights = np.bincount(tissue, counts, 3)
        sums = np.bincount(tissue, counts * centres, 3)
        moved = np.where(weights > 0, sums / np.maximum(weights, 1), means)
        if np.array_equal(moved, means):
            break
        means = moved
    return float((means[1] + means[2]) / 2)


def white_around(t1: Volume, white: BoolArray, lesions: BoolArray) -> Around:
    """Mean and width of the nearest white matter that is enough, around each voxel of the lesions.

    Where not even the widest neighbourhood holds some, those of all white matter stand.
    """
    # Values around their mean: squares of large ones would lose the noise in float32.
    middle, spread = np.float32(t1.array[white].mean()), np.float32(t1.array[white].std())
    mean, width = np.full(t1.array.shape, np.nan, np.float32), np.full(t1.array.shape, spread, np.float32)
    for reach_mm in REACHES_MM:
        without = lesions & np.isnan(mean)
        if not without.any():
            break
        sigma = [reach_mm / side for side in t1.space.spacing_mm]
        box = _box(without, [TRUNCATE * each for each in sigma])
        values = np.where(white[box], t1.array[box] - middle, 0).astype(np.float32)
        share, first, second = (
            ndimage.gaussian_filter(image, sigma, mode="constant", truncate=TRUNCATE)
            for image in (white[box].astype(np.float32), values, values**2)
        )
        taken = without[box] & (share >= ENOUGH)
        local = first[taken] / share[taken]
        mean[box][taken] = local + middle
        width[box][taken] = np.sqrt(np.maximum(second[taken] / share[taken] - local**2, 0))
    mean[np.isnan(mean)] = middle
    return Around(mean[lesions], width[lesions])


def _box(part: BoolArray, margin: Sequence[float]) -> tuple[slice, ...]:
    """The box of a mask, widened by `margin` voxels."""
    box = ndimage.find_objects(part.view(np.uint8))[0]
    return tuple(
        slice(max(0, edge.start - int(m) - 1), edge.stop + int(m) + 1) for edge, m in zip(box, margin, strict=True)
    )
