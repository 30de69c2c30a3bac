"""Which synthetic scans look like real ones, so that a calibration is made on what a model will meet.

Synthesis draws contrast, noise and slices far wider than scanners differ, so that nothing is learned of one scanner.
A threshold is another matter: where lesions can hardly be seen the best one is lower than for scans as they come.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.types import BoolArray, FloatArray

LOOKS = (
    "noise",
    "steps along x",
    "steps along y",
    "steps along z",
    "10th percentile",
    "90th percentile",
    "99th percentile",
    "log10 ml",
    "raggedness",
)
"""What a look is made of, in this order. Nothing in it says where a lesion is."""
FLUID = -3.0
"""What is darker, in half-widths, is fluid or outside: some brain masks hold the sulci, others do not."""
INNER_VOXELS = 4
"""So far from the tissue's rim noise and steps are measured."""
FAR = 4
"""Voxels between the two places whose difference the one between neighbours is compared with."""


def look_of(image: FloatArray) -> NDArray[np.float64]:
    """How a scan looks, apart from what lies where: (`LOOKS`,).

    Parameters
    ----------
    image
        (x, y, z) at about 1 mm, in half-widths from normal tissue, as dark as fluid outside the brain.

    Returns
    -------
    NDArray
        NaN throughout where a scan has no tissue.
    """
    tissue = image > FLUID
    if not tissue.any():
        return np.full(len(LOOKS), np.nan)
    inner = ndimage.binary_erosion(tissue, iterations=INNER_VOXELS)
    inner = inner if inner.any() else tissue
    noise = 1.4826 * float(np.median(np.abs(image - ndimage.uniform_filter(image, 3))[inner]))
    steps = [_step(image, inner, axis) for axis in range(3)]
    quantiles = np.quantile(image[tissue], (0.1, 0.9, 0.99))
    rim = float((tissue & ~ndimage.binary_erosion(tissue)).sum())
    size = float(tissue.sum())
    return np.array([noise, *steps, *quantiles, np.log10(size / 1000), rim / size ** (2 / 3)], np.float64)


def _step(image: FloatArray, inner: BoolArray, axis: int) -> float:
    """How much neighbours along an axis differ, as a share of how much voxels `FAR` from each other do."""
    differences = []
    for lag in (1, FAR):
        ahead, here = (np.take(image, np.arange(*ends), axis) for ends in _ends(image.shape[axis], lag))
        both = np.logical_and(*(np.take(inner, np.arange(*ends), axis) for ends in _ends(image.shape[axis], lag)))
        differences.append(float(np.abs(ahead - here)[both].mean()) if both.any() else float("nan"))
    near, far = differences
    return near / far if far > 0 else 1.0


def _ends(side: int, lag: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (lag, side), (0, side - lag)


def most_alike(
    candidates: Sequence[NDArray[np.floating]], real: Sequence[NDArray[np.floating]], count: int
) -> list[int]:
    """Numbers of those candidates that look most like the real scans, in ascending order.

    The real scans take turns: each picks the candidate nearest to it that none has picked yet. So a look that is rare
    among synthetic scans has as many of them as a common one.

    Parameters
    ----------
    candidates, real
        Looks of synthetic and of real scans.
    count
        How many to pick; all of them where there are fewer.
    """
    if not real:
        return list(range(min(count, len(candidates))))
    rows = np.nan_to_num(np.stack([*candidates, *real]))
    spread = np.maximum(rows[: len(candidates)].std(axis=0), 1e-6)
    theirs, wanted = rows[: len(candidates)] / spread, rows[len(candidates) :] / spread
    far = np.linalg.norm(theirs[:, None] - wanted[None], axis=2)
    picked: list[int] = []
    for turn in range(min(count, len(candidates))):
        distances = far[:, turn % len(real)].copy()
        distances[picked] = np.inf
        picked.append(int(distances.argmin()))
    return sorted(picked)
