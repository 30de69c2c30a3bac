"""Scans as a mixture of tissues is learned from: FLAIR and T1 by their own tissue, on one grid; and patches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from flairline.imaging.boxes import Box, box_of
from flairline.learning.networks.tissue_mixture import MixtureSizes
from flairline.learning.slices.slices import scaled_intensities
from flairline.types import FloatArray, Scan

MARGIN_VOXELS = 2
DROPPED_T1 = 0.25
"""Share of the patches that are shown without their T1, so that a scan without one can be scored."""
Back = Callable[[FloatArray], FloatArray]


def working_images(scan: Scan, spacing_mm: float) -> tuple[FloatArray, FloatArray, Box, Back]:
    """FLAIR and T1 (2, x, y, z) in [0, 1] by their own tissue, the brain (x, y, z) in [0, 1], where, and the way back.

    Outside the brain, and where there is no T1, they are 0. The way back leads from this grid to the box of the scan's.
    """
    brain = scan.brain.array
    where = box_of(brain, MARGIN_VOXELS)
    zero = np.zeros_like(scan.flair.array)
    t1 = zero if scan.t1 is None else scaled_intensities(scan.t1.array, brain, "tissue")
    images = [scaled_intensities(scan.flair.array, brain, "tissue"), t1, brain.astype(np.float32)]
    stack = np.stack([np.where(brain, image, np.float32(0))[where] for image in images]).astype(np.float32)
    before = stack.shape[1:]
    onto = tuple(max(1, round(n * side / spacing_mm)) for n, side in zip(before, scan.spacing_mm, strict=True))
    # Coarser than the scan: the mean of what lies within a voxel, so that nothing is skipped.
    coarser = all(after <= n for after, n in zip(onto, before, strict=True))
    fine = _resized(stack, onto, "area" if coarser else "trilinear")
    return fine[:2], fine[2], where, lambda values: _resized(values[None], before, "trilinear")[0]


def _resized(array: FloatArray, onto: tuple[int, ...], mode: str) -> FloatArray:
    corners = {} if mode == "area" else {"align_corners": False}
    given = torch.from_numpy(np.ascontiguousarray(array))[None]
    return functional.interpolate(given, size=onto, mode=mode, **corners)[0].numpy()


class Patches(Dataset):
    """Random patches of scans on disk; the n-th depends on `seed` and n alone, so a resumed training goes on.

    An item is (images (2, p, p, p), brain (1, p, p, p)), float32, around a voxel of the brain.
    """

    def __init__(self, paths: Sequence[Path], sizes: MixtureSizes, count: int, seed: int, start: int = 0) -> None:
        self.paths, self.sizes, self.count, self.seed, self.start = list(paths), sizes, count, seed, start

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng, side = np.random.default_rng((self.seed, self.start + index)), self.sizes.patch
        volume = np.load(self.paths[int(rng.integers(len(self.paths)))], mmap_mode="r")
        shape = np.array(volume.shape[1:])
        for _ in range(50):
            middle = rng.integers(shape)
            if volume[(2, *middle)] >= 0.5:
                break
        start = middle - side // 2
        patch = np.zeros((3, side, side, side), np.float32)
        low, high = np.maximum(start, 0), np.minimum(start + side, shape)
        source, target = (tuple(map(slice, low - less, high - less)) for less in (0 * start, start))
        patch[(slice(None), *target)] = volume[(slice(None), *source)]
        if rng.random() < DROPPED_T1:
            patch[1] = 0
        return torch.from_numpy(patch[:2]), torch.from_numpy(patch[2:] >= 0.5).float()


def first_brightness(paths: Sequence[Path], classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Brightness of each tissue to begin with (2, classes), and the FLAIR values between them (classes - 1,).

    k-means of the FLAIR's values in the brain for all tissues but the last; that is whatever is brighter than three
    half-widths of the scan's own normal tissue. No label is used.
    """
    from scipy.cluster.vq import kmeans

    rng = np.random.default_rng(0)
    parts = []
    for path in paths[:: max(1, len(paths) // 20)]:
        volume = np.load(path, mmap_mode="r")
        inside = np.asarray(volume)[:2, volume[2] >= 0.5].astype(np.float64)
        parts.append(inside[:, rng.permutation(inside.shape[1])[:20_000]])
    flair, t1 = np.concatenate(parts, axis=1)
    bright = 0.4 + 3 / 10
    centres = np.sort(kmeans(flair[flair < bright], classes - 1, rng=rng)[0])
    edges = np.append((centres[1:] + centres[:-1]) / 2, bright)
    tissue = np.digitize(flair, edges)
    last = flair[tissue == classes - 1]
    of_flair = np.append(centres, last.mean() if len(last) else 0.85)
    there = t1 > 0
    of_t1 = [t1[there & (tissue == k)].mean() if (there & (tissue == k)).any() else 0.3 for k in range(classes)]
    return np.stack([of_flair, of_t1]), edges
