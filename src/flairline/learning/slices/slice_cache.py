"""Slices of the training scans, cut once, kept on disk, and read by memory map."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from flairline.errors import InputError
from flairline.imaging.labels import LabelRule
from flairline.io.files import prepare_folder, sha256, write_array, write_json
from flairline.learning.data import Source, TrainingData, source_of
from flairline.learning.slices.slices import SliceGrid, to_slices
from flairline.types import Progress

VERSION = 2
"""Goes up when slices are cut in another way, so that old ones are cut anew."""

OPEN_SCANS = 128
"""Scans whose slices are mapped at once: each takes two open files, and many systems allow a process 1024."""


@dataclass(frozen=True)
class SliceStore:
    """Slices of one scan on disk: ``STEM.images.npy`` float16 (n, size, size), ``STEM.brains.npy`` boolean."""

    stem: Path
    source: Source
    count: int

    def images(self) -> NDArray[np.float16]:
        """The images, as a memory map."""
        return np.load(self.stem.with_suffix(".images.npy"), mmap_mode="r", allow_pickle=False)

    def brains(self) -> NDArray[np.bool_]:
        """Where the brain is, as a memory map."""
        return np.load(self.stem.with_suffix(".brains.npy"), mmap_mode="r", allow_pickle=False)


def store_slices(
    data: TrainingData, grid: SliceGrid, folder: Path, progress: Progress | None = None
) -> list[SliceStore]:
    """Cut the slices of all cases into `folder`, those that are not there yet.

    Raises
    ------
    InputError
        A scan cannot be used, or no slice at all can be learned from.
    OutputError
        The folder cannot be written to.
    """
    prepare_folder(folder)
    stores = []
    for done, case in enumerate(data.cases, 1):
        source = source_of(case)
        what = {
            "version": VERSION,
            "lesion_free_slices": data.lesion_free_slices,
            **asdict(grid),
            **asdict(source),
            # What decides which slices are free of lesions and where the brain is.
            "files": {name: sha256(path) for name in ("t1", "brain", "truth") if (path := getattr(case, name))},
            "labels": asdict(LabelRule.of(case)),
            "preprocess": asdict(data.preprocess),
        }
        key = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:24]
        stem = folder / key
        note = stem.with_suffix(".json")
        if not note.exists():
            healthy = data.read(case)
            slices = to_slices(healthy.scan, grid)
            enough = slices.brains.mean(axis=(1, 2)) >= grid.min_brain_share
            kept = enough & healthy.usable[slices.indices]
            write_array(stem.with_suffix(".images.npy"), slices.images[kept].astype(np.float16))
            write_array(stem.with_suffix(".brains.npy"), slices.brains[kept])
            write_json(note, {**what, "count": int(kept.sum())})
        stores.append(SliceStore(stem, source, int(json.loads(note.read_text(encoding="utf-8"))["count"])))
        if progress is not None:
            progress("cutting slices", done, len(data.cases))
    if not sum(store.count for store in stores):
        msg = f"Of {len(stores)} scans no slice can be learned from: all have lesions or too little brain. Give others."
        raise InputError(msg)
    return stores


@lru_cache(maxsize=OPEN_SCANS)
def _mapped(store: SliceStore) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    return store.images(), store.brains()


class _Stored:
    """Slices of several scans under one running number."""

    def __init__(self, stores: Sequence[SliceStore]) -> None:
        self.stores = [store for store in stores if store.count]
        self.first = np.cumsum([0, *(store.count for store in self.stores)])

    def __len__(self) -> int:
        return int(self.first[-1])

    def item(self, number: int) -> tuple[Tensor, Tensor]:
        scan = int(np.searchsorted(self.first, number, side="right")) - 1
        images, brains = _mapped(self.stores[scan])
        place = number - int(self.first[scan])
        image, brain = (np.asarray(array[place], dtype=np.float32)[np.newaxis] for array in (images, brains))
        return torch.from_numpy(image), torch.from_numpy(brain)


class TrainingSlices(Dataset):
    """Each slice once an epoch, in an order that depends on `seed` and the epoch alone.

    `start` is the number of items that an interrupted training has seen: a resumed one goes on after them. An item is
    (image, brain), each (1, size, size), float32.
    """

    def __init__(self, stores: Sequence[SliceStore], count: int, seed: int, start: int = 0) -> None:
        self.stored, self.count, self.seed, self.start = _Stored(stores), count, seed, start
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(self.start + index, len(self.stored))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng((self.seed, epoch)).permutation(len(self.stored))
        return self.stored.item(int(self._order[place]))


class ValidationSlices(Dataset):
    """At most `count` slices, evenly spaced over the scans."""

    def __init__(self, stores: Sequence[SliceStore], count: int) -> None:
        self.stored = _Stored(stores)
        self.picked = np.unique(np.linspace(0, len(self.stored) - 1, min(count, len(self.stored))).astype(int))

    def __len__(self) -> int:
        return len(self.picked)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.stored.item(int(self.picked[index]))
