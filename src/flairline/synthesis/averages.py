"""Averages of many people: sharp nowhere, without noise, bright where people usually are, and without lesions.

A template is such an average. Its tissue differs by less than one person's noise, so half-widths of its histogram are
narrow and whatever is usually a little brighter lies far above them. A network that never saw one marks that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.tissue import normal_tissue
from flairline.synthesis.scan_store import Stored, open_scan, store_scan
from flairline.synthesis.training import Z_RANGE

PEOPLE = (8, 24)
"""Fewest and most people of an average."""


def lesion_free(stems: Sequence[Path]) -> list[Path]:
    """Those scans of a cache that have no lesion."""
    return [stem for stem in stems if not np.asarray(open_scan(stem).truth).any()]


def average(people: Sequence[Path]) -> Stored:
    """The mean of scans of a cache on the first one's grid, each laid onto it by its place in the atlas.

    Half-widths are taken anew of the mean. The T1 of the mean is the mean of the T1s.
    """
    first = open_scan(people[0])
    shape = first.image.shape
    total, t1, inside = (np.zeros(shape, np.float32) for _ in range(3))
    for stem in people:
        scan = open_scan(stem)
        to_theirs = np.linalg.inv(scan.vox_to_atlas) @ first.vox_to_atlas
        theirs = (scan.image > Z_RANGE[0]).astype(np.float32)
        for sums, volume in ((total, scan.image), (t1, scan.t1), (inside, theirs)):
            sums += _laid(volume.astype(np.float32) * theirs, to_theirs, shape)
    brain = inside > len(people) / 2
    low, high = Z_RANGE
    mean = np.where(brain, total / np.maximum(inside, 1e-3), low)
    image = np.clip(normal_tissue(mean[brain]).z(mean), low, high) if brain.any() else mean
    image[~brain] = low
    mean_t1 = np.where(brain, t1 / np.maximum(inside, 1e-3), 0)
    return Stored(image.astype(np.float16), np.zeros(shape, bool), mean_t1.astype(np.float16), first.vox_to_atlas)


def _laid(volume: NDArray[np.float32], matrix: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.asarray(ndimage.affine_transform(volume, matrix, output_shape=shape, order=1), np.float32)


def fill_averages(folder: Path, stems: Sequence[Path], count: int, seed: int) -> list[Path]:
    """Averages of the lesion-free scans among `stems`, those that are not there yet made now; their stems.

    None where fewer than two scans are free of lesions.
    """
    free = lesion_free(stems) if count else []
    if len(free) < 2:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    made = [folder / f"{number:05d}" for number in range(count)]
    for number, stem in enumerate(made):
        if not stem.with_suffix(".json").exists():
            rng = np.random.default_rng((seed, 19, number))
            people = rng.permutation(len(free))[: int(rng.integers(PEOPLE[0], PEOPLE[1] + 1))]
            store_scan(stem, average([free[person] for person in people]), np.zeros((0, 3), np.int64))
    return made
