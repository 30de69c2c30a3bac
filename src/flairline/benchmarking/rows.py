"""Tidy rows: one number each, with the number of scans that it describes and its bootstrap interval."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flairline import registry
from flairline.evaluation.counts import N_REPLICATES, Counts, poisson_weights
from flairline.evaluation.pooled import pooled_metric
from flairline.evaluation.protocols import Protocol
from flairline.io.files import write_text
from flairline.io.tables import csv_of
from flairline.types import Case

COHORT = "cohort"
"""The subject of rows that describe all scans."""
OF_SUBJECT = " (subject)"
NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """One line of rows.csv. `n` is the number of scans that a value describes, `low` and `high` its 95 % interval.

    `seen` is "yes" where the method's model was trained on a patient that the value describes, else empty.
    """

    dataset: str
    method: str
    protocol: str
    subject: str
    metric: str
    value: float
    n: int
    low: float = NAN
    high: float = NAN
    seen: str = ""


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


def row_subject(label: str) -> str:
    """What a scan's rows have as their subject: its `Case.label`, with a word behind it where the cohort has its name.

    "cohort" becomes "cohort (subject)", and so on, so that no two labels give the same.
    """
    bare = label
    while bare.endswith(OF_SUBJECT):
        bare = bare.removesuffix(OF_SUBJECT)
    return label + OF_SUBJECT if bare == COHORT else label


@dataclass(frozen=True)
class Measured:
    """The metrics of one scan, by name; none where it could not be measured."""

    case: Case
    values: Mapping[str, float]


def rows_of_cohort(
    dataset: str,
    method: str,
    protocol: Protocol,
    counts: Counts,
    measured: Sequence[Measured],
    seed: int,
) -> Iterator[Row]:
    """The cohort's rows first, of pooled voxels and of scans in the protocol's order, then each subject's."""
    start, patients = (dataset, method, protocol.name), [scan.case.patient for scan in measured]
    pooled, of_all_scans = [], []
    for name in registry.names("metrics"):
        metric = registry.load("metrics", name)
        if "counts" in inspect.signature(metric).parameters:
            value = pooled_metric(name, metric, counts)
            has_interval = len(set(patients)) > 1 and not np.isnan(value)
            interval = _interval(metric, counts) if has_interval else (NAN, NAN)
            pooled.append(Row(*start, COHORT, name, value, counts.n_scans, *interval))
    for name in sorted({name for scan in measured for name in scan.values}):
        of_scans = np.array([scan.values.get(name, np.nan) for scan in measured])
        n = int(np.count_nonzero(~np.isnan(of_scans)))
        mean = float(np.nanmean(of_scans)) if n else NAN
        of_all_scans.append(Row(*start, COHORT, name, mean, n, *mean_interval(of_scans, patients, seed)))
    yield from of_all_scans + pooled if protocol.per_subject_first else pooled + of_all_scans
    for scan in measured:
        for name, value in scan.values.items():
            yield Row(*start, row_subject(scan.case.label), name, value, int(value == value))


def marked_as_seen(rows: Iterable[Row], seen: Collection[str], cases: Sequence[Case]) -> Iterator[Row]:
    """The rows; those that describe a patient whom the method's model has seen (`Case.key`) say so."""
    known = [case for case in cases if case.key in seen]
    marks = {(case.dataset, subject) for case in known for subject in (COHORT, row_subject(case.label))}
    for row in rows:
        yield dataclasses.replace(row, seen="yes") if (row.dataset, row.subject) in marks else row


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows.csv; undefined values are written as nan. Raises `OutputError`."""
    write_text(path, csv_of(Row, rows))


def _interval(metric: Callable[..., float], counts: Counts) -> tuple[float, float]:
    """95 % bootstrap interval of a cohort's metric.

    Replicates live on a coarser binning, so it is their deviation from the coarse value that is added to the fine one.
    """
    value = metric(counts=counts)
    # With thresholds of its own a protocol's replicates are exact and need no centring.
    centre = metric(counts=dataclasses.replace(counts.coarsened(), tried=counts.tried))
    replicates = np.array([metric(counts=counts.resampled(number)) for number in range(N_REPLICATES)])
    return _percentiles(replicates - centre + value)


def mean_interval(values: NDArray[np.float64], patients: Sequence[str], seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over scans, drawn over patients; NaN values do not count."""
    known = ~np.isnan(values)
    if not known.any():
        return NAN, NAN
    weights = np.stack([poisson_weights(patient, seed) for patient in patients])[known]
    drawn = weights.sum(axis=0)
    means = np.full(N_REPLICATES, np.nan)
    means[drawn > 0] = (values[known] @ weights)[drawn > 0] / drawn[drawn > 0]
    return _percentiles(means) if len(set(patients)) > 1 else (NAN, NAN)


def _percentiles(replicates: NDArray[np.float64]) -> tuple[float, float]:
    defined = replicates[~np.isnan(replicates)]
    if defined.size == 0:
        return NAN, NAN
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)
