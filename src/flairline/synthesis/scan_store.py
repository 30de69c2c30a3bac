"""Synthetic scans made once, kept on disk, and read whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.boxes import box_of
from flairline.io.files import write_json
from flairline.io.store import content_key
from flairline.synthesis.contrast import CHANNELS
from flairline.synthesis.training import synthesise

VERSION = 4
"""Goes up when the same seed gives other scans, so that old ones are made anew."""
LESION_FREE_SHARE = 0.15
"""Share of the synthetic scans that have no lesion."""
PLACES = 200
"""So many voxels of its lesions are noted of each scan."""
MARGIN_VOXELS = 2
"""Around the brain, of what is kept."""


@dataclass(frozen=True, eq=False)
class Head:
    """What scans are made from: a class map (x, y, z), and 4x4 from its mm, counted from its middle, to the atlas."""

    classes: NDArray[np.uint8]
    to_atlas: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stored:
    """A scan of the cache, cut to its brain: FLAIR and T1 in half-widths and truth (x, y, z), and where it lies.

    A truth is 0 or 1; of a real scan also -1, where nothing is said.
    """

    image: NDArray[np.float16]
    truth: NDArray[np.bool_] | NDArray[np.int8]
    t1: NDArray[np.float16]
    vox_to_atlas: NDArray[np.float64]


@dataclass(frozen=True)
class Making:
    """How scans are made: in so many processes, and rendered on which device."""

    workers: int = 2
    device: str = "cpu"
    progress: Callable[[int, int], None] | None = None


def fill_cache(
    folder: Path,
    heads: Sequence[Head],
    count: int,
    seed: int,
    shapes: list[NDArray[np.bool_]] | None = None,
    making: Making | None = None,
) -> list[Path]:
    """Make `count` synthetic scans, those that are not there yet; the n-th depends on `seed`, n and what it is made of.

    They lie in a sub-folder that is named by the content of all that they depend on, so that scans of another seed,
    other label maps or other shapes are never taken for these. Returns the files' stems; each scan is three
    memory-mappable arrays, ``.image.npy``, ``.truth.npy`` and ``.t1.npy``.
    """
    making = making or Making()
    made_of = {"seed": seed, "class maps": [_digest(head.classes) for head in heads]}
    made_of["shapes"] = [_digest(array) for array in shapes or ()]
    folder = folder / content_key("scans", VERSION, made_of)
    folder.mkdir(parents=True, exist_ok=True)
    stems = [folder / f"{index:05d}" for index in range(count)]
    missing = [i for i, stem in enumerate(stems) if not stem.with_suffix(".json").exists()]
    if not missing:
        return stems
    with ProcessPoolExecutor(
        making.workers,
        mp_context=get_context("spawn"),
        initializer=_start,
        initargs=(heads, shapes, making.device),
    ) as pool:
        for done, _ in enumerate(pool.map(_make, [(stems[i], seed, i) for i in missing]), start=1):
            if making.progress:
                making.progress(count - len(missing) + done, count)
    return stems


def _digest(array: NDArray) -> str:
    return hashlib.sha256(repr((array.shape, array.dtype.str)).encode() + array.tobytes()).hexdigest()


_held: dict = {}


def _start(heads: Sequence[Head], shapes: list[NDArray[np.bool_]] | None, device: str) -> None:
    torch.set_num_threads(1)
    _held.update(heads=heads, shapes=shapes, device=device)


def _make(job: tuple[Path, int, int]) -> None:
    stem, seed, index = job
    rng = np.random.default_rng((seed, index))
    head = _held["heads"][index % len(_held["heads"])]
    sick = bool(rng.random() >= LESION_FREE_SHARE)
    scan = synthesise(head.classes, rng, _held["shapes"], sick, CHANNELS, _held["device"], head.to_atlas)
    assert scan.t1 is not None and scan.vox_to_atlas is not None
    # The whole grid where a mask has nothing left.
    where = box_of(scan.brain, MARGIN_VOXELS) if scan.brain.any() else (slice(None),) * 3
    moved = np.eye(4)
    moved[:3, 3] = [part.start or 0 for part in where]
    cut = Stored(scan.image[where], scan.truth[where], scan.t1[where], scan.vox_to_atlas @ moved)
    store_scan(stem, cut, places_of_lesions(scan.truth[where], rng))


def places_of_lesions(truth: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.integer]:
    """Voxels (n, 3) to cut crops around: half of them anywhere in what is lesion, half in one lesion as often as in
    another, however small it is.
    """
    voxels = np.argwhere(truth)
    if not len(voxels):
        return voxels
    number = ndimage.label(truth, np.ones((3, 3, 3), bool))[0][truth]
    anywhere = rng.choice(len(voxels), min(PLACES // 2, len(voxels)), replace=False)
    sizes = np.bincount(number)[number]
    one_each = rng.choice(len(voxels), PLACES // 2, p=(1 / sizes) / (1 / sizes).sum())
    return voxels[np.concatenate([anywhere, one_each])]


def store_scan(stem: Path, scan: Stored, lesion_voxels: NDArray[np.integer]) -> None:
    """Write a scan, each file whole or not at all, the one that says that it is there last.

    Parameters
    ----------
    lesion_voxels
        Voxels (n, 3) to cut crops around.
    """
    for name, array in (("image", scan.image), ("truth", scan.truth), ("t1", scan.t1)):
        part = stem.with_suffix(f".{name}.part.npy")
        np.save(part, np.ascontiguousarray(array))
        os.replace(part, stem.with_suffix(f".{name}.npy"))
    write_json(stem.with_suffix(".json"), {"lesion_voxels": lesion_voxels, "vox_to_atlas": scan.vox_to_atlas})


def open_scan(stem: Path) -> Stored:
    """A scan of the cache; its arrays are read where they are looked at."""
    image, truth, t1 = (np.load(stem.with_suffix(f".{name}.npy"), mmap_mode="r") for name in ("image", "truth", "t1"))
    return Stored(image, truth, t1, np.array(json.loads(stem.with_suffix(".json").read_text())["vox_to_atlas"]))


def read_scan(stem: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A whole scan of the cache: image in half-widths and truth."""
    scan = open_scan(stem)
    return scan.image.astype(np.float32), np.array(scan.truth)
