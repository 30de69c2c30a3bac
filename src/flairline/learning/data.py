"""What a method learns from: scans one after the other, which slices of them, and where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flairline import executor
from flairline.errors import InputError, UnfitError
from flairline.io.files import sha256
from flairline.io.logs import with_log
from flairline.io.nifti import read_volume, write_mask, write_volume
from flairline.learning.learner import Trains
from flairline.learning.model import Source
from flairline.learning.run import TrainingRun
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings
from flairline.types import BoolArray, Case, Scan

Made = TypeVar("Made")

VALIDATION_SHARE = 0.2
"""Share of the scans, one at least, that choose the best weights and never train them."""
HEALTHY_QUANTILES = (0.9, 0.95, 0.99, 0.995, 0.999)
"""Quantiles of the score in held-out healthy brain that a model folder states."""
MOST_VALUES = 1_000_000
"""Quantiles are of so many values at most, evenly spaced among all."""


@dataclass(frozen=True)
class HealthyScan:
    """A scan to learn from. `usable` marks the axial slices (z,) that may be learned from."""

    scan: Scan
    usable: BoolArray


@dataclass(frozen=True)
class TrainingData:
    """Cases to learn from, read one at a time.

    Attributes
    ----------
    lesion_free_slices
        Cases with a truth give their slices without lesions; without this, a case whose truth has lesions is refused.
        Lesion labels do nothing else: no method sees them.
    preprocess
        How scans with a skull are prepared.
    work
        Folder to keep their brains in; None keeps nothing.
    licences
        What is known of the terms of the data, for the model card.
    """

    cases: Sequence[Case]
    lesion_free_slices: bool = False
    preprocess: PreprocessSettings = field(default_factory=PreprocessSettings)
    work: Path | None = None
    licences: tuple[str, ...] = ()

    def split(self) -> tuple[TrainingData, TrainingData]:
        """Scans to train on and scans to validate on, no patient in both; by the patients' order in the table.

        Raises
        ------
        InputError
            There are fewer than two patients.
        """
        patients = list(dict.fromkeys((case.dataset, case.subject) for case in self.cases))
        if len(patients) < 2:
            msg = f"Wanted scans of at least 2 patients (one is kept for validation), got {len(patients)}. Give more."
            raise InputError(msg)
        held = set(patients[-max(1, round(VALIDATION_SHARE * len(patients))) :])
        parts = [[case for case in self.cases if ((case.dataset, case.subject) in held) == last] for last in (0, 1)]
        training, validation = (replace(self, cases=part) for part in parts)
        return training, validation

    def read(self, case: Case) -> HealthyScan:
        """One scan and its slices that may be used.

        Raises
        ------
        InputError
            The scan cannot be read.
        UnfitError
            It has lesions and `lesion_free_slices` is off, or it is on and there is no truth.
        """
        labelled = read_scan(case, self.preprocess.for_judging(None), self.work).labelled(merge=True)
        if labelled.labels is None and self.lesion_free_slices:
            msg = (
                f"Wanted a truth by which to leave out slices with lesions, but {case.flair} has none. Fill its column"
                " truth, or leave out --lesion-free-slices if nobody in the table has lesions."
            )
            raise UnfitError(msg)
        diseased: BoolArray = np.zeros(labelled.scan.space.shape[2], np.bool_)
        if labelled.labels is not None:
            lesion = labelled.labels > 0
            if labelled.ignored is not None:  # other pathology is no healthy tissue
                lesion = lesion | labelled.ignored
            diseased = np.asarray(lesion.any(axis=(0, 1)))
        if diseased.any() and not self.lesion_free_slices:
            msg = (
                f"{case.flair} has lesions by its truth, and a method learns from healthy scans. Leave it out, or add"
                " --lesion-free-slices to learn from its slices without lesions."
            )
            raise UnfitError(msg)
        return HealthyScan(labelled.scan, ~diseased)

    def __iter__(self) -> Iterator[HealthyScan]:
        """The scans, one after the other."""
        for case in self.cases:
            yield self.read(case)


def made_or_left_out(case: Case, make: Callable[[], Made], run: TrainingRun) -> Made | None:
    """What `make` makes of a case; None where it cannot, of which the run is told.

    The traceback of a fault in flairline is kept in the model folder's logs. Raises `UnfitError` where `make` does:
    whoever gave patients as healthy must know it before hours of training, not after them.
    """
    unfit: list[UnfitError] = []

    def work(_: Case) -> Made:
        try:
            return make()
        except UnfitError as error:
            unfit.append(error)
            raise

    (outcome,) = executor.run(work, [case])
    if unfit:
        raise unfit[0]
    if outcome.error is not None:
        name = case.key.removeprefix("/")  # a file is of no data set
        run.left_out(name, with_log(outcome, run.folder, name).error or "")
    return outcome.result


def source_of(case: Case) -> Source:
    """What tells that a scan was seen, whatever its file is called or how it is compressed."""
    assert case.flair is not None
    return Source(case.dataset, case.subject, sha256(Path(case.flair)), voxels_sha256(Path(case.flair)))


def voxels_sha256(path: Path) -> str:
    """Hash of an image's shape and voxels in RAS+: the same for a copy that was compressed or turned anew."""
    array = np.ascontiguousarray(read_volume(path).array, dtype=np.float32)
    return hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()


def healthy_quantiles(name: str, scores: NDArray[np.floating]) -> dict[str, dict[str, float]]:
    """What config.json says under ``healthy_quantiles``, of a method's scores (n,) in held-out healthy brain."""
    thinned = scores[:: max(1, -(-len(scores) // MOST_VALUES))]
    values = np.quantile(thinned, HEALTHY_QUANTILES)
    return {name: {f"{share:g}": float(value) for share, value in zip(HEALTHY_QUANTILES, values, strict=True)}}


@contextmanager
def scratch_model(method: Trains, healthy: Iterable[Scan]) -> Iterator[Path]:
    """The folder of a model that a method trains for ten minutes on scans in memory; gone at the end of the block.

    Raises
    ------
    InputError
        There are fewer than two scans.
    """
    scans = list(healthy)
    if not scans:
        msg = (
            f"{method.name} must learn from healthy scans. Run flairline fit {method.family} SCANS... -o MODEL and"
            f" give --method {method.name}=MODEL."
        )
        raise InputError(msg)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cases = [_written(scan, folder / f"{number}") for number, scan in enumerate(scans)]
        method.train(TrainingData(cases), TrainingRun(folder / "model", max_minutes=10))
        yield folder / "model"


def _written(scan: Scan, folder: Path) -> Case:
    """A scan in memory as a case on disk."""
    flair, brain = folder / "flair.nii.gz", folder / "brain.nii.gz"
    write_volume(flair, scan.flair)
    write_mask(brain, scan.brain)
    return Case("memory", scan.subject + folder.name, flair=flair, brain=brain)
