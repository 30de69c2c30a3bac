"""Synthetic scans made once, kept on disk, and read whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from flairline.io.files import write_json
from flairline.io.store import content_key
from flairline.synthesis.training import synthesise

VERSION = 2
"""Goes up when the same seed gives other scans, so that old ones are made anew."""
LESION_FREE_SHARE = 0.12
"""Share of the synthetic scans that have no lesion."""


def fill_cache(
    folder: Path,
    class_maps: Sequence[NDArray[np.uint8]],
    count: int,
    seed: int,
    shapes: list[NDArray[np.bool_]] | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Make `count` synthetic scans, those that are not there yet; the n-th depends on `seed`, n and what it is made of.

    They lie in a sub-folder that is named by the content of all that they depend on, so that scans of another seed,
    other label maps or other shapes are never taken for these. Returns the files' stems; each scan is two
    memory-mappable arrays, ``.image.npy`` and ``.truth.npy``.
    """
    made_of = {"seed": seed, "class maps": [_digest(array) for array in class_maps]}
    made_of["shapes"] = [_digest(array) for array in shapes or ()]
    folder = folder / content_key("scans", VERSION, made_of)
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


def _digest(array: NDArray) -> str:
    return hashlib.sha256(repr((array.shape, array.dtype.str)).encode() + array.tobytes()).hexdigest()


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
