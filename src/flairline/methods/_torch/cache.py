"""Synthetic scans made once, kept on disk, and read in crops."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from flairline.io.files import write_json
from flairline.methods._torch.synthesis import Z_RANGE, synthesise

LESION_FREE_SHARE = 0.12
"""Share of the synthetic scans that have no lesion."""
CROP = 96
"""Side of a training crop in voxels of 1 mm."""
ON_LESION = 0.6
"""Share of the crops that hold a lesion voxel near their middle."""


def fill_cache(
    folder: Path,
    class_maps: Sequence[NDArray[np.uint8]],
    count: int,
    seed: int,
    shapes: list[NDArray[np.bool_]] | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Make `count` synthetic scans, those that are not there yet; the n-th depends on `seed` and n alone.

    Returns the files' stems; each scan is two memory-mappable arrays, ``.image.npy`` and ``.truth.npy``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stems = [folder / f"{index:05d}" for index in range(count)]
    missing = [i for i, stem in enumerate(stems) if not stem.with_suffix(".json").exists()]
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start, initargs=(class_maps, shapes)
    ) as pool:
        for done, _ in enumerate(pool.map(_make, [(stems[i], seed, i) for i in missing]), start=1):
            if progress:
                progress(count - len(missing) + done, count)
    return stems


_held: dict = {}


def _start(class_maps: Sequence[NDArray[np.uint8]], shapes: list[NDArray[np.bool_]] | None) -> None:
    torch.set_num_threads(1)
    _held.update(maps=class_maps, shapes=shapes)


def _make(job: tuple[Path, int, int]) -> None:
    stem, seed, index = job
    rng = np.random.default_rng((seed, index))
    classes = _held["maps"][index % len(_held["maps"])]
    scan = synthesise(classes, rng, _held["shapes"], lesions=rng.random() >= LESION_FREE_SHARE)
    for name, array in (("image", scan.image), ("truth", scan.truth)):
        part = stem.with_suffix(f".{name}.part.npy")
        np.save(part, array)
        os.replace(part, stem.with_suffix(f".{name}.npy"))
    low, high = _box(scan.brain)
    voxels = np.argwhere(scan.truth)
    picked = voxels[rng.choice(len(voxels), min(200, len(voxels)), replace=False)] if len(voxels) else voxels
    write_json(stem.with_suffix(".json"), {"low": low, "high": high, "lesion_voxels": picked})


def _box(brain: NDArray[np.bool_]) -> tuple[list[int], list[int]]:
    inside = [np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return [int(i[0]) for i in inside], [int(i[-1]) + 1 for i in inside]


def read_scan(stem: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A whole scan of the cache: image in half-widths and truth, cropped to the brain."""
    box = json.loads(stem.with_suffix(".json").read_text())
    where = tuple(slice(a, b) for a, b in zip(box["low"], box["high"], strict=True))
    image = np.load(stem.with_suffix(".image.npy"), mmap_mode="r")[where].astype(np.float32)
    return image, np.array(np.load(stem.with_suffix(".truth.npy"), mmap_mode="r")[where])


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
