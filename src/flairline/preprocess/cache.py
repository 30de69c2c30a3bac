"""Results of steps, kept in a store under a key of their inputs' contents, so that nothing is computed twice."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from flairline.errors import ImageError
from flairline.imaging.points import PointMap
from flairline.io.files import write_text
from flairline.io.nifti import read_mask, read_volume, write_mask, write_volume
from flairline.io.store import Store, content_key
from flairline.types import Mask, Space, Volume

log = logging.getLogger(__name__)

Value = TypeVar("Value")
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Form(Generic[Value]):
    """How values of one kind lie in files, and the hash that they are known by.

    Attributes
    ----------
    write, read
        Given a path without an ending.
    digest
        Of what a value holds: equal for a value and what is read of it.
    """

    write: Callable[[Path, Value], None]
    read: Callable[[Path], Value]
    digest: Callable[[Value], str]


@dataclass(frozen=True)
class StepKey:
    """All that a step's result depends on: its code, by version, its parameters and its inputs, by their hashes."""

    name: str
    version: int
    parameters: Mapping[str, Any]
    inputs: Sequence[str]

    def about(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "step": self.name,
            "version": self.version,
            "parameters": dict(self.parameters),
            "inputs": list(self.inputs),
        }

    def __str__(self) -> str:
        """Name of the entry."""
        return content_key(self.name, self.version, self.about())


class Cache:
    """Results of steps in a folder; None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.store = None if folder is None else Store.at(folder)

    def load(self, key: StepKey, form: Form[Value]) -> Value | None:
        """What was kept under a key, None if there is nothing or it was damaged."""
        place = None if self.store is None else self.store.find(str(key))
        if place is None:
            return None
        try:
            return form.read(place / "result")
        except (OSError, ValueError, KeyError, ImageError) as error:
            log.warning("The kept result %s is damaged and is made again: %s", place, error)
            shutil.rmtree(place, ignore_errors=True)
            return None

    def keep(self, key: StepKey, result: Value, form: Form[Value], heard: Sequence[str]) -> None:
        """Keep a step's result and what was logged meanwhile. Raises `OutputError` where the disk is full."""
        if self.store is None:
            return
        with self.store.new(str(key), key.about()) as folder:
            form.write(folder / "result", result)
            write_text(folder / "log.txt", "\n".join(heard) + "\n")


def volume_on(space: Space) -> Form[Volume]:
    """Images on a grid that is known: a file rounds the affine."""
    return Form(
        lambda path, image: write_volume(_nifti(path), image),
        lambda path: Volume(read_volume(_nifti(path)).array, space),
        image_digest,
    )


def mask_on(space: Space) -> Form[Mask]:
    """Masks on a grid that is known."""
    return Form(
        lambda path, mask: write_mask(_nifti(path), mask),
        lambda path: Mask(read_mask(_nifti(path)).array, space),
        image_digest,
    )


def image_digest(image: Volume | Mask) -> str:
    """Hash of an image's kind, grid and voxels."""
    hashed = hashlib.sha256(type(image).__name__.encode())
    hashed.update(str(image.space.shape).encode())
    # An affine that went through a header is rounded to float32.
    hashed.update(image.space.vox_to_ras.astype(np.float32).tobytes())
    hashed.update(np.ascontiguousarray(image.array).tobytes())
    return hashed.hexdigest()


def points_text(points: PointMap) -> str:
    """A map as JSON, to the last digit."""
    table = {"source": points.source, "target": points.target, "ras_to_ras": points.ras_to_ras.tolist()}
    return json.dumps(table, indent=2, sort_keys=True)


def points_from(text: str) -> PointMap:
    """The map that `points_text` wrote. Raises `KeyError` or `ValueError`."""
    table = json.loads(text)
    return PointMap(table["source"], table["target"], np.array(table["ras_to_ras"], dtype=np.float64))


def text_digest(text: str) -> str:
    """Hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _figures_text(figures: Figures) -> str:
    table = {name: None if value != value else float(value) for name, value in figures.items()}
    return json.dumps(table, indent=2)


def _figures_from(text: str) -> Figures:
    return {name: float("nan") if value is None else value for name, value in json.loads(text).items()}


def _nifti(path: Path) -> Path:
    return path.with_suffix(".nii.gz")


POINTS: Form[PointMap] = Form(
    lambda path, points: write_text(path.with_suffix(".json"), points_text(points)),
    lambda path: points_from(path.with_suffix(".json").read_text(encoding="utf-8")),
    lambda points: text_digest(points_text(points)),
)

FIGURES: Form[Figures] = Form(
    lambda path, figures: write_text(path.with_suffix(".json"), _figures_text(figures)),
    lambda path: _figures_from(path.with_suffix(".json").read_text(encoding="utf-8")),
    lambda figures: text_digest(_figures_text(figures)),
)
