"""Slices of the training scans, cut once, kept in a store, and read by memory map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from flairline.errors import InputError
from flairline.imaging.labels import LabelRule
from flairline.io.files import sha256
from flairline.io.store import Store, content_key
from flairline.learning.data import TrainingData, made_or_left_out, source_of
from flairline.learning.model import Source
from flairline.learning.run import TrainingRun
from flairline.learning.slices.slices import SliceGrid, to_slices
from flairline.types import Case

IMAGES, BRAINS = "images.npy", "brains.npy"
VERSION = 2
"""Goes up when slices are cut in another way, so that old ones are cut anew."""

OPEN_SCANS = 128
"""Scans whose slices are mapped at once: each takes two open files, and many systems allow a process 1024."""


@dataclass(frozen=True)
class SliceStore:
    """Slices of one scan on disk: ``images.npy`` float16 (n, size, size), ``brains.npy`` boolean."""

    folder: Path
    source: Source
    count: int

    def images(self) -> NDArray[np.float16]:
        """The images, as a memory map."""
        return np.load(self.folder / IMAGES, mmap_mode="r", allow_pickle=False)

    def brains(self) -> NDArray[np.bool_]:
        """Where the brain is, as a memory map."""
        return np.load(self.folder / BRAINS, mmap_mode="r", allow_pickle=False)

    def tensors(self, most: int | None = None) -> tuple[Tensor, Tensor]:
        """Images and brains, float32 (n, 1, size, size), from bottom to top; at most so many, evenly spaced."""
        count = self.count if most is None else min(most, self.count)
        return self.at(np.unique(np.linspace(0, self.count - 1, count).astype(int)) if count else np.empty(0, int))

    def at(self, kept: NDArray[np.integer]) -> tuple[Tensor, Tensor]:
        """Images and brains, float32 (n, 1, size, size), of these slices, counted from the bottom and ascending."""
        images, brains = (np.asarray(array[kept], np.float32) for array in (self.images(), self.brains()))
        return torch.from_numpy(images)[:, None], torch.from_numpy(brains)[:, None]


def store_slices(data: TrainingData, grid: SliceGrid, folder: Path, run: TrainingRun | None = None) -> list[SliceStore]:
    """Cut the slices of all cases into `folder`, those that are not there yet.

    A case that cannot be read is left out, if there is a run to tell of it.

    Raises
    ------
    UnfitError
        A scan is not what was asked to learn from.
    InputError
        No slice at all can be learned from.
    OutputError
        The folder cannot be written to.
    """
    kept = Store.at(folder)
    stores = []
    for done, case in enumerate(data.cases, 1):
        cut = partial(_stored, case, data, grid, kept)
        store = cut() if run is None else made_or_left_out(case, cut, run)
        stores += [] if store is None else [store]
        if run is not None:
            run.progress("cutting slices", done, len(data.cases))
    if not sum(store.count for store in stores):
        reason = "all have lesions or too little brain" if stores else "none of them can be read"
        msg = f"Of {len(data.cases)} scans no slice can be learned from: {reason}. Give others."
        raise InputError(msg)
    return stores


def _stored(case: Case, data: TrainingData, grid: SliceGrid, kept: Store) -> SliceStore:
    """One scan's slices, cut now or before."""
    source = source_of(case)
    depends_on = {
        "lesion_free_slices": data.lesion_free_slices,
        **asdict(grid),
        **source.plain(),
        # What decides which slices are free of lesions and where the brain is.
        "files": {name: sha256(path) for name in ("t1", "brain", "truth") if (path := getattr(case, name))},
        "labels": asdict(LabelRule.of(case)),
        "preprocess": asdict(data.preprocess),
    }
    key = content_key("slices", VERSION, depends_on)
    # By size alone: a few megabytes of a scan, of a thousand scans, are not read once more before a training.
    if kept.find(key, check_content=False) is None:
        healthy = data.read(case)
        slices = to_slices(healthy.scan, grid)
        enough = slices.brains.mean(axis=(1, 2)) >= grid.min_brain_share
        usable = enough & healthy.usable[slices.indices]
        with kept.new(key, {**depends_on, "count": int(usable.sum())}) as place:
            np.save(place / IMAGES, slices.images[usable].astype(np.float16))
            np.save(place / BRAINS, slices.brains[usable])
    return SliceStore(kept.folder / key, source, int(kept.about(key)["count"]))


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
