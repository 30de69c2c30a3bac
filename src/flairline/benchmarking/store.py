"""Scores of single scans on disk: what evaluation needs of each, so that later passes need no method.

A stored score holds the brain's scores and three bit masks, 4.4 bytes a brain voxel, in an entry of `io.store`, named
by all that it depends on: an interrupted run goes on, and a changed file or setting is scored again.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.benchmarking.source import MapSource
from flairline.errors import InputError
from flairline.evaluation.judged_scan import JudgedScan
from flairline.evaluation.protocols import Protocol
from flairline.io.files import sha256, write_bytes
from flairline.io.store import Store, content_key
from flairline.io.versions import versions
from flairline.preprocess import quality
from flairline.types import BoolArray, Case

FILE = "score.npz"
VERSION = 3


@dataclass(frozen=True, eq=False)
class LoadedScore:
    """A stored score in memory: what is judged, the truth (x, y, z), and the mask (x, y, z) if its source makes one."""

    scan: JudgedScan
    truth: BoolArray
    mask: BoolArray | None
    spacing_mm: tuple[float, float, float]

    @property
    def score(self) -> NDArray[np.float32]:
        """The score (x, y, z), made anew at every call."""
        return self.scan.dense(self.scan.score)

    @property
    def brain(self) -> BoolArray:
        """The brain (x, y, z), made anew at every call."""
        return self.scan.dense(self.scan.brain)

    def mask_at(self, protocol: Protocol, threshold: float) -> BoolArray:
        """The mask (x, y, z) that the protocol makes of the score at a threshold."""
        return protocol.mask_at(self.score, self.brain, threshold, self.spacing_mm)


@dataclass(frozen=True)
class StoredScore:
    """One scan's score on disk, and its case.

    `figures` are `quality.brain_figures` of its FLAIR, where it is known, and `flags` those of its contrast;
    `sides_known` is False where no side may be named.
    """

    case: Case
    path: Path
    spacing_mm: tuple[float, float, float]
    has_truth: bool
    figures: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[quality.Flag, ...] = ()
    sides_known: bool = True

    def load(self) -> LoadedScore:
        """Read it. Raises `InputError` if it is damaged."""
        return read(self.path)


def keep(case: Case, source: MapSource, protocol: Protocol, store: Store) -> StoredScore:
    """Score a case and keep its score, unless it is there already.

    Raises
    ------
    FlairlineError
        The source cannot score the case, or the store cannot be written to.
    """
    key = content_key(
        "score",
        VERSION,
        {
            "files": [sha256(path) for path in source.inputs(case)],
            "source": source.describe(),
            "protocol": asdict(protocol),
            "versions": versions(),
        },
    )
    if store.find(key) is None:
        scored = source.make(case, protocol)
        scan, mask = scored.labelled.scan, scored.mask
        judged = protocol.judged(scored.score, scored.labelled)
        truth = protocol.cut(protocol.truth(scored.labelled))
        is_known = scored.flair_known and scan.brain.array.any()
        figures = quality.brain_figures(scan.flair, scan.brain) if is_known else {}
        described = {
            "spacing_mm": scan.spacing_mm,
            "figures": figures,
            "flags": _contrast_flags(case, source, protocol, store) if is_known else [],
            "sides_known": scan.space.sides_known,
        }
        with store.new(key, described) as folder:
            mask = None if mask is None else protocol.cut(protocol.in_few_slices(mask, scan))
            write(folder / FILE, judged, truth, mask, scan.spacing_mm)
    about = store.about(key)
    x, y, z = about["spacing_mm"]
    figures = {name: float("nan") if value is None else value for name, value in about["figures"].items()}
    kept = StoredScore(case, store.folder / key / FILE, (x, y, z), case.truth is not None, figures)
    return replace(kept, flags=_flags_of(about), sides_known=about["sides_known"])


def _contrast_flags(case: Case, source: MapSource, protocol: Protocol, store: Store) -> list[dict[str, Any]]:
    """Flags of a case's contrast, looked at once for all sources and protocols, in the scan as it is read.

    A case without a FLAIR's file has none: its source makes the scan itself, and nothing would tell two of them apart.
    """
    if case.flair is None:
        return []
    files = [sha256(path) for path in (case.flair, case.t1, case.brain) if path is not None]
    key = content_key("contrast", 1, {"files": files, "versions": versions()})
    if store.find(key) is None:
        found = quality.check_contrast(source.labelled(case, protocol).scan)
        with store.new(key, {"flags": [asdict(flag) for flag in found.flags]}):
            pass
    return store.about(key)["flags"]


def _flags_of(about: Mapping[str, Any]) -> tuple[quality.Flag, ...]:
    """What `asdict` made of flags; NaN was written as null."""
    return tuple(
        quality.Flag(flag["figure"], float("nan") if flag["value"] is None else flag["value"], flag["reason"])
        for flag in about["flags"]
    )


def write(
    path: Path,
    scan: JudgedScan,
    truth: BoolArray,
    mask: BoolArray | None,
    spacing_mm: tuple[float, float, float],
) -> None:
    """Write a score with its truth and mask (x, y, z). Raises `OutputError`."""
    explicit = np.zeros(scan.shape, np.bool_)
    explicit.ravel()[scan.places] = True
    buffer = io.BytesIO()
    np.savez(
        buffer,
        shape=np.array(scan.shape),
        score=scan.score,
        explicit=np.packbits(explicit),
        brain=np.packbits(scan.brain),
        truth=np.packbits(truth),
        n_rest=np.array(scan.n_rest),
        rest_true_places=scan.rest_true_places,
        spacing_mm=np.array(spacing_mm),
        mask=np.packbits(mask) if mask is not None else np.zeros(0, np.uint8),
    )
    write_bytes(path, buffer.getvalue())


def read(path: Path) -> LoadedScore:
    """What `write` wrote. Raises `InputError` if the file is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            stored = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        msg = f"The stored score {path} is damaged. Delete it and run again."
        raise InputError(msg) from error
    x, y, z = stored["shape"].tolist()
    right, front, up = stored["spacing_mm"].tolist()
    truth, explicit = (_unpacked(stored[name], (x, y, z)) for name in ("truth", "explicit"))
    places = np.flatnonzero(explicit)
    brain = np.unpackbits(stored["brain"], count=places.size).astype(np.bool_)
    rest = int(stored["n_rest"]), stored["rest_true_places"]
    scan = JudgedScan((x, y, z), places, stored["score"], truth.ravel()[places], brain, *rest)
    mask = _unpacked(stored["mask"], (x, y, z)) if stored["mask"].size else None
    return LoadedScore(scan, truth, mask, (right, front, up))


def _unpacked(bits: NDArray[np.uint8], shape: tuple[int, int, int]) -> BoolArray:
    return np.unpackbits(bits, count=int(np.prod(shape))).astype(np.bool_).reshape(shape)
