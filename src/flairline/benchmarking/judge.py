"""One source, one protocol, all cases: score and keep each, count the cohorts, measure each scan, make rows.

Scans pass one after the other. The first pass scores a scan and keeps what evaluation needs of it (`store`). Counts of
a cohort have a fixed size; its oracle threshold comes from them; a last pass measures each scan at it.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from flairline import executor, registry
from flairline.benchmarking import store
from flairline.benchmarking.rows import Measured, Row, marked_as_seen, rows_of_cohort
from flairline.benchmarking.source import MapSource
from flairline.benchmarking.store import StoredScore
from flairline.evaluation.counts import Counts
from flairline.evaluation.protocols import Protocol
from flairline.io.logs import with_log
from flairline.io.store import Store
from flairline.types import Case, Progress, no_progress


@dataclass
class Result:
    """Everything that was found of one source by one protocol.

    Attributes
    ----------
    method
        The source's name.
    counts
        Of each data set and method.
    stored
        The scores of each data set and method, as long as their folder is kept.
    failures
        Scan and reason.
    without_truth
        Scans that were scored but not judged.
    """

    protocol: Protocol
    method: str
    rows: list[Row] = field(default_factory=list)
    counts: dict[tuple[str, str], Counts] = field(default_factory=dict)
    stored: dict[tuple[str, str], list[StoredScore]] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    without_truth: list[str] = field(default_factory=list)
    seconds: float = 0.0


def judge(
    cases: Sequence[Case],
    source: MapSource,
    protocol: Protocol,
    work: Path,
    *,
    jobs: int = 1,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Result:
    """Judge one source on all cases, data set by data set.

    Parameters
    ----------
    work
        Folder for stored scores; what is there already is used again if nothing that it depends on changed.
    seed
        Of the bootstrap.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    started, places = time.perf_counter(), {case.key: place for place, case in enumerate(cases)}
    result = count(cases, source, protocol, work, jobs=jobs, seed=seed, progress=progress)
    for (dataset, _), scans in result.stored.items():
        counts = result.counts[dataset, source.name]
        measure_one = partial(measure, protocol=protocol, threshold=counts.oracle().threshold)
        measured: list[Measured] = []
        for done, outcome in enumerate(executor.run(measure_one, scans, jobs), 1):
            progress(f"{source.name}, {protocol.name}: measuring {dataset}", done, len(scans))
            if outcome.result is None:
                failed = with_log(outcome, work.parent, outcome.item.case.key)
                result.failures.append((outcome.item.case.key, failed.error or ""))
            measured.append(Measured(outcome.item.case, outcome.result or {}))
        measured.sort(key=lambda scan: places[scan.case.key])
        rows = rows_of_cohort(dataset, source.name, protocol, counts, measured, seed)
        result.rows += marked_as_seen(rows, source.about.seen, cases)
    result.seconds = time.perf_counter() - started
    return result


def count(
    cases: Sequence[Case],
    source: MapSource,
    protocol: Protocol,
    work: Path,
    *,
    jobs: int = 1,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Result:
    """The first half of `judge`: score and keep every case, and count the cohorts; no rows, no measures of one scan."""
    started, result = time.perf_counter(), Result(protocol, source.name)
    keep_one = partial(store.keep, source=source, protocol=protocol, store=Store.at(work))
    places = {case.key: place for place, case in enumerate(cases)}
    for done, outcome in enumerate(executor.run(keep_one, cases, jobs), 1):
        progress(f"{source.name}, {protocol.name}: scoring", done, len(cases))
        if outcome.result is None:
            failed = with_log(outcome, work.parent, outcome.item.key)
            result.failures.append((outcome.item.key, failed.error or ""))
        else:
            result.stored.setdefault((outcome.item.dataset, source.name), []).append(outcome.result)
    for (dataset, _), scans in result.stored.items():
        scans.sort(key=lambda scan: places[scan.case.key])
        result.without_truth += [scan.case.key for scan in scans if not scan.has_truth]
        result.counts[dataset, source.name] = count_cohort(scans, protocol, seed)
    result.seconds = time.perf_counter() - started
    return result


def measure(scan: StoredScore, protocol: Protocol, threshold: float) -> dict[str, float]:
    """Every metric of one scan, NaN where it is undefined: no truth, no label-free mask, no oracle threshold.

    A metric of a mask is measured at the source's own threshold and, under the name with `_at_oracle`, at the cohort's.
    """
    loaded = scan.load()
    brain, truth, mask = loaded.brain, loaded.truth, loaded.mask
    at_oracle = None if np.isnan(threshold) else loaded.mask_at(protocol, threshold)
    if protocol.brain_only:
        truth, mask = truth & brain, None if mask is None else mask & brain
    words = {"score": loaded.score, "truth": truth, "brain": brain, "spacing_mm": scan.spacing_mm}
    metrics = {name: registry.load("metrics", name) for name in registry.names("metrics")}
    values = {}
    for name, metric in metrics.items():
        wanted = inspect.signature(metric).parameters
        if "counts" in wanted:
            continue
        variants = {name: mask}
        if "mask" in wanted and f"{name}_at_oracle" not in metrics:
            variants[f"{name}_at_oracle"] = at_oracle
        for variant, variant_mask in variants.items():
            given = {**words, "mask": variant_mask, "mask_at_oracle": at_oracle}
            is_defined = scan.has_truth and all(given[word] is not None for word in wanted)
            values[variant] = float(metric(**{word: given[word] for word in wanted})) if is_defined else float("nan")
    return values


def count_cohort(scans: Sequence[StoredScore], protocol: Protocol, seed: int) -> Counts:
    """Counts of a cohort. A protocol with its own thresholds needs the cohort's range first: a second pass."""
    with_truth = [scan for scan in scans if scan.has_truth]

    def add_all(counts: Counts, filtered: bool = True) -> Counts:
        for scan in with_truth:
            rule = protocol.components_at(scan.spacing_mm)
            smallest_kept_voxels = rule.smallest_kept_voxels if filtered else 1
            counts.update(scan.load().scan, scan.case.patient, smallest_kept_voxels, rule.connectivity)
        return counts

    if protocol.n_thresholds is None or not with_truth:
        counts = add_all(Counts.empty(seed))
    else:
        counts = add_all(Counts.empty(seed), filtered=False)  # its own thresholds are the only ones that get filtered
        counts.tried = add_all(Counts.at_thresholds(protocol.thresholds(counts), seed))
    counts.chosen_before_filter = protocol.chosen_before_filter
    return counts
