"""What a scan with a truth adds to the figures of its cohort: counts of fixed size, kept small, that add up."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flairline.cohort.layout import Visit
from flairline.errors import InputError
from flairline.evaluation.counts import Counts
from flairline.evaluation.judged_scan import JudgedScan
from flairline.imaging.components import ComponentRule
from flairline.imaging.measure import dice
from flairline.io.files import write_bytes
from flairline.segmentation import Found

FOLDER = "state/counts"


@dataclass(frozen=True)
class ScanCounts:
    """The counts of one scan, without the bins that are empty and without replicates, which the patient's name gives.

    Attributes
    ----------
    bins
        Numbers of the bins that hold something.
    gained, outside
        Of those bins, as in `Counts`.
    extremes
        Lowest and highest score.
    dice, truth_ml
        At the scan's own threshold; NaN where both are empty.
    """

    patient: str
    bins: NDArray[np.int64]
    gained: NDArray[np.int64]
    outside: NDArray[np.int64]
    extremes: tuple[float, float]
    dice: float
    truth_ml: float


def counts_path(name: str) -> str:
    """Where the counts of a scan lie, below OUT."""
    return f"{FOLDER}/{name}.npz"


def write_counts(out: Path, visit: Visit, found: Found, components: ComponentRule) -> str:
    """Count a scan against its truth, inside its brain; the path below OUT. Raises `OutputError`."""
    assert found.truth is not None
    brain, truth = found.scan.brain.array, found.truth.array
    judged = JudgedScan.from_arrays(found.score.array, truth, brain, brain_only=True)
    patient = f"sub-{visit.subject}"
    counts = Counts.empty()
    counts.update(judged, patient, components.smallest_kept_voxels, components.connectivity)
    bins = np.flatnonzero(counts.gained.any(axis=0) | counts.outside.any(axis=0))
    content = io.BytesIO()
    np.savez_compressed(
        content,
        patient=np.array(patient),
        bins=bins,
        gained=counts.gained[:, bins],
        outside=counts.outside[:, bins],
        extremes=np.array([counts.minimum, counts.maximum]),
        figures=np.array([dice(found.mask.array, truth & brain), found.truth.volume_ml]),
    )
    write_bytes(out / counts_path(visit.name), content.getvalue())
    return counts_path(visit.name)


def read_counts(path: Path) -> ScanCounts:
    """What `write_counts` wrote. Raises `InputError`."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            low, high = (float(value) for value in stored["extremes"])
            overlap, truth_ml = (float(value) for value in stored["figures"])
            bins, gained, outside = (stored[name].astype(np.int64) for name in ("bins", "gained", "outside"))
            return ScanCounts(str(stored["patient"]), bins, gained, outside, (low, high), overlap, truth_ml)
    except (OSError, ValueError, KeyError) as error:
        msg = f"Cannot read the counts {path}: {error}. Run the participant level again."
        raise InputError(msg) from error


def merged(scans: Iterable[ScanCounts]) -> Counts:
    """The counts of a cohort: the same as if every scan had been added to one `Counts`."""
    cohort = Counts.empty()
    for scan in scans:
        cohort.add(scan.patient, scan.bins, np.concatenate([scan.gained, scan.outside]), scan.extremes)
    return cohort
