"""Random crops of synthetic scans on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from flairline.learning.volumes.context import CELL, CONTEXT, SCALE, context, shaken
from flairline.learning.volumes.painted import painted
from flairline.learning.volumes.sizes import Inlets
from flairline.synthesis.scan_store import open_scan
from flairline.synthesis.training import Z_RANGE

CROP = 96
"""Side of a training crop in voxels of 1 mm."""
ON_LESION = 0.6
"""Share of the crops that hold a lesion voxel near their middle."""
REAL = 0.25
"""Share of the crops that are of real scans, where there are any."""
PAINTED = 0.5
"""Share of the real crops into which drawn lesions are painted."""
T1_LEFT_OUT = 0.5
"""Share of the crops whose T1 is left out, so that one network serves with and without one."""


class Crops(Dataset):
    """Random crops of a cache; the n-th depends on `seed` and n alone, so a resumed training goes on with new ones.

    An item is (images, context, truth), float32: (1 or 2, CROP, CROP, CROP), (context, cells), (1, CROP, CROP, CROP).
    The truth of a `real` scan is what a model was sure of, and below 0 where nothing is said.
    """

    def __init__(self, stems: Sequence[Path], count: int, seed: int, inlets: Inlets, real: Sequence[Path] = ()) -> None:
        self.stems, self.count, self.seed, self.inlets = [*stems, *real], count, seed, inlets
        self.synthetic = len(stems)
        self.lesions = [json.loads(stem.with_suffix(".json").read_text())["lesion_voxels"] for stem in self.stems]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, 7, index))
        pick = int(rng.integers(self.synthetic))
        if len(self.stems) > self.synthetic and rng.random() < REAL:
            pick = int(rng.integers(self.synthetic, len(self.stems)))
        scan = open_scan(self.stems[pick])
        start = _start(rng, self.lesions[pick], scan.image.shape)
        crop, target = _padded_crop(scan.image, start, Z_RANGE[0]), _padded_crop(scan.truth, start, 0)
        t1 = _padded_crop(scan.t1, start, 0)
        if pick >= self.synthetic and rng.random() < PAINTED:
            crop, target, t1 = painted((crop, target, t1), self._drawn_shape(rng), rng)
        flipped, brighter, lighter = bool(rng.random() < 0.5), float(np.exp(rng.normal(0, 0.12))), rng.normal(0, 0.2)
        inside = crop > Z_RANGE[0]
        crop = crop * brighter + lighter
        if rng.random() < 0.3:
            crop = crop + rng.uniform(0, 0.4) * rng.standard_normal(crop.shape, dtype=np.float32)
        images: list[NDArray] = [np.where(inside, np.clip(crop, *Z_RANGE), Z_RANGE[0]) / SCALE]
        if self.inlets.t1:
            left_out = rng.random() < T1_LEFT_OUT
            images.append(np.zeros_like(crop) if left_out else _second_image(rng, t1))
        around = torch.zeros(0, *(CROP // CELL,) * 3)
        if self.inlets.placed:
            around = context(
                torch.from_numpy(scan.image.astype(np.float32)),
                shaken(scan.vox_to_atlas, rng),
                [int(first) for first in start],
                (CROP // CELL,) * 3,
            )
            outside = around[MIRRORED] <= Z_RANGE[0] / SCALE
            brightened = (around[MIRRORED] * brighter + lighter / SCALE).clamp(*(limit / SCALE for limit in Z_RANGE))
            around[MIRRORED] = torch.where(outside, around[MIRRORED], brightened)
        item = [torch.from_numpy(np.stack(images).astype(np.float32)), around, torch.from_numpy(target)[None]]
        images_, around_, truth_ = (part.flip(1) if flipped else part for part in item)
        return images_, around_, truth_

    def _drawn_shape(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """A crop (x, y, z) of the truth of a synthetic scan, around one of its lesions; empty where it has none."""
        pick = int(rng.integers(self.synthetic))
        places = self.lesions[pick]
        if not places:
            return np.zeros((CROP,) * 3, bool)
        middle = np.array(places[int(rng.integers(len(places)))]) + rng.integers(-20, 21, 3)
        return _padded_crop(open_scan(self.stems[pick]).truth, middle - CROP // 2, 0) > 0


MIRRORED = CONTEXT.index("mirrored")


def _second_image(rng: np.random.Generator, t1: NDArray[np.float32]) -> NDArray[np.float32]:
    """A T1 somewhat brighter or darker, with more contrast or less."""
    changed = t1 * np.exp(rng.normal(0, 0.12)) + rng.normal(0, 0.15)
    return np.where(t1 == 0, 0, changed).astype(np.float32) / np.float32(SCALE)


def _start(rng: np.random.Generator, lesion_voxels: Sequence, shape: tuple[int, ...]) -> NDArray[np.int64]:
    if lesion_voxels and rng.random() < ON_LESION:
        voxel = np.array(lesion_voxels[int(rng.integers(len(lesion_voxels)))])
        return voxel - CROP // 2 + rng.integers(-30, 31, 3)
    return rng.integers(-16, np.maximum(np.array(shape) - CROP + 16, -15))


def _padded_crop(array: NDArray, start: NDArray[np.int64], pad: float) -> NDArray[np.float32]:
    crop = np.full((CROP,) * 3, pad, dtype=np.float32)
    low, high = np.maximum(start, 0), np.minimum(start + CROP, array.shape)
    if (low < high).all():
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        target = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
        crop[target] = array[source]
    return crop
