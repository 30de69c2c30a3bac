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

from flairline.synthesis.training import Z_RANGE

CROP = 96
"""Side of a training crop in voxels of 1 mm."""
ON_LESION = 0.6
"""Share of the crops that hold a lesion voxel near their middle."""


class Crops(Dataset):
    """Random crops of a cache; the n-th depends on `seed` and n alone, so a resumed training goes on with new ones.

    An item is (image, truth), each (1, CROP, CROP, CROP), float32.
    """

    def __init__(self, stems: Sequence[Path], count: int, seed: int) -> None:
        self.stems, self.count, self.seed = list(stems), count, seed
        self.boxes = [json.loads(stem.with_suffix(".json").read_text()) for stem in self.stems]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, 7, index))
        pick = int(rng.integers(len(self.stems)))
        stem, box = self.stems[pick], self.boxes[pick]
        image = np.load(stem.with_suffix(".image.npy"), mmap_mode="r")
        truth = np.load(stem.with_suffix(".truth.npy"), mmap_mode="r")
        start = self._start(rng, box, image.shape)
        crop, target = (_padded_crop(array, start, pad) for array, pad in ((image, Z_RANGE[0]), (truth, 0)))
        if rng.random() < 0.5:
            crop, target = crop[::-1], target[::-1]
        inside = crop > Z_RANGE[0]
        crop = crop * np.exp(rng.normal(0, 0.12)) + rng.normal(0, 0.2)
        if rng.random() < 0.3:
            crop = crop + rng.uniform(0, 0.4) * rng.standard_normal(crop.shape, dtype=np.float32)
        crop = np.where(inside, np.clip(crop, *Z_RANGE), Z_RANGE[0])
        return (
            torch.from_numpy(np.ascontiguousarray(crop, dtype=np.float32))[None],
            torch.from_numpy(np.ascontiguousarray(target, dtype=np.float32))[None],
        )

    @staticmethod
    def _start(rng: np.random.Generator, box: dict, shape: tuple[int, ...]) -> NDArray[np.int64]:
        voxels = box["lesion_voxels"]
        if voxels and rng.random() < ON_LESION:
            start = np.array(voxels[int(rng.integers(len(voxels)))]) - CROP // 2 + rng.integers(-30, 31, 3)
        else:
            low, high = np.array(box["low"]), np.array(box["high"])
            start = rng.integers(low - 16, np.maximum(high - CROP + 16, low - 15))
        return start


def _padded_crop(array: NDArray, start: NDArray[np.int64], pad: float) -> NDArray[np.float32]:
    crop = np.full((CROP,) * 3, pad, dtype=np.float32)
    low, high = np.maximum(start, 0), np.minimum(start + CROP, array.shape)
    if (low < high).all():
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        target = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
        crop[target] = array[source]
    return crop
