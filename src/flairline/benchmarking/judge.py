"""Method or recipe x data set x protocol -> tidy rows and a manifest.

Scans pass one after the other. The first pass scores a scan and keeps what evaluation needs of it in OUT/work (the
brain's scores and three bit masks, 4.4 bytes a brain voxel), so that an interrupted run goes on and later passes need
no method. Counts of the cohort have a fixed size; its oracle threshold comes from them; a last pass measures each scan
at it.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import inspect
import io
import json
import resource
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline import executor as engine
from flairline import registry
from flairline.errors import GridError, InputError
from flairline.evaluation.counts import N_REPLICATES, Counts, ScanMap, poisson_weights
from flairline.evaluation.protocols import Protocol, on_sri24_grid
from flairline.imaging.labels import LabelRule
from flairline.io.files import prepare_folder, sha256, write_bytes, write_json, write_text
from flairline.io.nifti import read_mask, read_space, read_volume
from flairline.io.versions import versions
from flairline.learning.data import voxels_sha256
from flairline.preprocess import quality
from flairline.preprocess.assemble import LabelledScan, assemble, different_grids
from flairline.preprocess.pipeline import PreprocessSettings
from flairline.preprocess.to_atlas import labelled_scan
from flairline.recipes import Recipe, model_sha256, ready_scorer
from flairline.types import BoolArray, Case, Mask, Progress, Scan, Volume, no_progress

COLUMNS = ("dataset", "method", "protocol", "subject", "metric", "value", "n", "low", "high", "seen")
COHORT = "cohort"


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
    low: float = float("nan")
    high: float = float("nan")
    seen: str = ""


@dataclass(frozen=True)
class StoredMap:
    """One scan's map on disk, and its case. `figures` are `quality.brain_figures` of its FLAIR, where it is known."""

    case: Case
    path: Path
    spacing_mm: tuple[float, float, float]
    has_truth: bool
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Result:
    """Everything that a benchmark found.

    Attributes
    ----------
    counts
        Of each data set and method.
    stored
        The maps of each data set and method, as long as their folder is kept.
    failures
        Scan and reason.
    """

    protocol: Protocol | None = None
    method: str = ""
    rows: list[Row] = field(default_factory=list)
    counts: dict[tuple[str, str], Counts] = field(default_factory=dict)
    stored: dict[tuple[str, str], list[StoredMap]] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    without_truth: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class RecipeMaps:
    """Maps that a recipe makes: score, and the mask at the recipe's own label-free threshold if it has one.

    `atlas` (a name or file) is where scans go that a protocol wants there; what that makes is kept in `cache`. `seen`
    are the cases of patients that the recipe's model was trained on (`seen_cases`); their rows are marked.
    """

    recipe: Recipe
    atlas: str | None = None
    cache: Path | None = None
    preprocess: PreprocessSettings = field(default_factory=PreprocessSettings)
    seen: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name in the column `method`."""
        return self.recipe.name

    def inputs(self, case: Case) -> list[Path]:
        """Files that the map depends on."""
        return [path for path in (case.flair, case.t1, case.t2, case.brain, case.truth) if path]

    def describe(self) -> dict[str, Any]:
        """Everything else that the map depends on."""
        configured = self.recipe.configured()
        what = {"recipe": dataclasses.asdict(self.recipe), "method": dataclasses.asdict(configured)}
        if self.recipe.model is not None:  # a model trained anew in the same folder is another one
            what["weights"] = {"sha256": model_sha256(self.recipe.model)}
        return {**what, "atlas": self.atlas, "preprocess": dataclasses.asdict(self.preprocess)}

    def labelled(self, case: Case, protocol: Protocol) -> LabelledScan:
        """The case on the grid that the protocol wants: on SRI24's if it asks for that and there is an atlas."""
        return on_protocol_grid(case, protocol, self.atlas, self.cache, self.preprocess)

    def make(self, case: Case, protocol: Protocol) -> tuple[LabelledScan, NDArray[np.float32], BoolArray | None]:
        """Scan as the protocol wants it, score and mask (x, y, z)."""
        labelled = protocol.prepare(self.labelled(case, protocol))
        score = ready_scorer(self.recipe)(labelled.scan)
        if self.recipe.threshold is None:
            return labelled, score.array, None
        mask, _ = self.recipe.mask(score, labelled.scan.brain, self.recipe.threshold)
        return labelled, score.array, mask.array


@dataclass(frozen=True)
class FileMaps:
    """Maps that another program made, from the columns `score` and `mask` of a table of cases."""

    name: str = "files"

    def inputs(self, case: Case) -> list[Path]:
        """Files that the map depends on."""
        return [path for path in (case.score, case.mask, case.flair, case.brain, case.truth) if path]

    def describe(self) -> dict[str, Any]:
        """Everything else that the map depends on: nothing."""
        return {}

    def make(self, case: Case, protocol: Protocol) -> tuple[LabelledScan, NDArray[np.float32], BoolArray | None]:
        """As `RecipeMaps.make`, from files on one grid with the truth; a mask alone is its own score.

        Raises
        ------
        InputError
            There is neither score nor mask, or no way to tell where the brain is.
        GridError
            Grids do not match.
        """
        image = case.score or case.mask
        if image is None:
            msg = f"The case {case.subject!r} has neither a score nor a mask. Fill one of these columns."
            raise InputError(msg)
        score = read_volume(image)
        if not np.isfinite(score.array).all():
            msg = f"{image} has NaN or infinite scores. Replace them (0 outside the brain)."
            raise InputError(msg)
        mask = read_mask(case.mask) if case.mask else None
        truth = read_volume(case.truth) if case.truth else None
        for other, path in ((mask, case.mask), (truth, case.truth)):
            if other is not None and not other.space.same_grid(score.space):
                raise GridError(different_grids(path, other.space, image, score.space))
        scan = Scan.of(case.subject, score, self._brain(case, score, protocol))
        rule = LabelRule.of(case)
        labelled = LabelledScan(scan, None if truth is None else rule.read(truth.array, str(case.truth)), rule)
        prepared = protocol.prepare(labelled.with_merged_labels() if protocol.merge_labels else labelled)
        array = prepared.scan.flair.array
        if mask is None:
            return prepared, array, None
        # The mask goes through the same resize as the score.
        as_scan = Scan.of(case.subject, Volume(mask.array.astype(np.float32), mask.space), scan.brain)
        return prepared, array, protocol.prepare(LabelledScan(as_scan)).scan.flair.array > 0

    def _brain(self, case: Case, score: Volume, protocol: Protocol) -> Mask:
        if case.brain is None and case.flair is None:
            if protocol.brain_only:
                msg = (
                    f"The protocol {protocol.name} judges the brain, but the case {case.subject!r} has neither brain"
                    " nor flair. Fill one of these columns."
                )
                raise InputError(msg)
            return Mask(np.ones(score.space.shape, np.bool_), score.space)
        if case.brain is not None:
            brain = read_mask(case.brain)
        else:
            brain = assemble(dataclasses.replace(case, t1=None, t2=None)).scan.brain
        if not brain.space.same_grid(score.space):
            path = case.brain or case.flair
            raise GridError(different_grids(path, brain.space, case.score or case.mask, score.space))
        return Mask(brain.array, score.space)


def on_protocol_grid(
    case: Case,
    protocol: Protocol,
    atlas: str | None,
    cache: Path | None = None,
    preprocess: PreprocessSettings | None = None,
) -> LabelledScan:
    """A case's scan where the protocol wants it: on SRI24's grid if it asks for that and there is an atlas to go to."""
    wanted = protocol.needs_sri24 and atlas is not None and case.flair is not None
    there = not wanted or on_sri24_grid(read_space(case.flair))  # type: ignore[arg-type]
    settings = dataclasses.replace(preprocess or PreprocessSettings(), strip_on=protocol.strip_on)
    return labelled_scan(
        case, None if there else atlas, merge_labels=protocol.merge_labels, settings=settings, cache=cache
    )


def labelled_by(maps: RecipeMaps | FileMaps, case: Case, protocol: Protocol) -> LabelledScan:
    """A case with its truth on the grid on which `maps` is judged, whoever made the maps."""
    return maps.labelled(case, protocol) if isinstance(maps, RecipeMaps) else on_protocol_grid(case, protocol, None)


def run(
    cases: Sequence[Case],
    maps: RecipeMaps | FileMaps,
    protocol: Protocol,
    work: Path,
    *,
    jobs: int = 1,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Result:
    """Judge one method on all cases, data set by data set.

    Parameters
    ----------
    work
        Folder for intermediate maps; what is there already is used again if nothing that it depends on changed.
    seed
        Of the bootstrap.
    """
    started, places = time.perf_counter(), {_name(case): place for place, case in enumerate(cases)}
    result = count(cases, maps, protocol, work, jobs=jobs, seed=seed, progress=progress)
    for (dataset, _), scans in result.stored.items():
        counts = result.counts[dataset, maps.name]
        measure = partial(_measure, protocol=protocol, threshold=counts.oracle().threshold)
        values: list[tuple[Case, dict[str, float]]] = []
        for done, measured in enumerate(engine.run(measure, scans, jobs), 1):
            progress(f"{maps.name}, {protocol.name}: measuring {dataset}", done, len(scans))
            if measured.result is None:
                result.failures.append((_name(measured.item.case), measured.error or ""))
            values.append((measured.item.case, measured.result or {}))
        values.sort(key=lambda value: places[_name(value[0])])
        result.rows += _marked(_rows(dataset, maps.name, protocol, counts, values, seed), maps, cases)
    result.seconds = time.perf_counter() - started
    return result


def count(
    cases: Sequence[Case],
    maps: RecipeMaps | FileMaps,
    protocol: Protocol,
    work: Path,
    *,
    jobs: int = 1,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Result:
    """The first half of `run`: score and keep every case, and count the cohorts; no rows, no measures of one scan."""
    started, result = time.perf_counter(), Result(protocol, maps.name)
    prepare_folder(work)
    store = partial(_store, maps=maps, protocol=protocol, work=work)
    places = {_name(case): place for place, case in enumerate(cases)}
    for done, outcome in enumerate(engine.run(store, cases, jobs), 1):
        progress(f"{maps.name}, {protocol.name}: scoring", done, len(cases))
        if outcome.result is None:
            result.failures.append((_name(outcome.item), outcome.error or ""))
        else:
            result.stored.setdefault((outcome.item.dataset, maps.name), []).append(outcome.result)
    for (dataset, _), scans in result.stored.items():
        scans.sort(key=lambda scan: places[_name(scan.case)])
        result.without_truth += [_name(scan.case) for scan in scans if not scan.has_truth]
        result.counts[dataset, maps.name] = _count(scans, protocol, seed)
    result.seconds = time.perf_counter() - started
    return result


def seen_cases(recipe: Recipe, cases: Sequence[Case]) -> list[str]:
    """Names (data set/subject) of cases whose patient the recipe's model was trained or validated on.

    A patient is known again by data set and subject, by the FLAIR's file, or by the voxels in it.

    Raises
    ------
    ModelError
        The model folder is broken.
    """
    known = {(source["dataset"], source["subject"]) for source in recipe.sources() if source["dataset"]}
    hashes = {source[key] for source in recipe.sources() for key in ("sha256", "voxels_sha256")}
    seen = []
    for case in cases:
        if not known and not hashes:
            break
        if (case.dataset, case.subject) in known or (case.flair is not None and _content(case.flair) & hashes):
            seen.append(_name(case))
    return seen


@lru_cache(maxsize=4096)
def _content(flair: Path) -> frozenset[str]:
    return frozenset({sha256(flair), voxels_sha256(flair)})


def _marked(rows: Iterator[Row], maps: RecipeMaps | FileMaps, cases: Sequence[Case]) -> Iterator[Row]:
    """The rows; those that describe a patient whom the method's model has seen say so."""
    seen = maps.seen if isinstance(maps, RecipeMaps) else frozenset()
    marks = {(case.dataset, subject) for case in cases if _name(case) in seen for subject in (COHORT, _subject(case))}
    for row in rows:
        yield dataclasses.replace(row, seen="yes") if (row.dataset, row.subject) in marks else row


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows.csv; undefined values are written as nan."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(dataclasses.astuple(row) for row in rows)
    write_text(path, text.getvalue())


def write_manifest(
    path: Path,
    cases: Sequence[Case],
    parameters: dict[str, Any],
    results: Sequence[Result],
    left_out: Mapping[str, str] | None = None,
) -> None:
    """Write manifest.json: versions, parameters, hashes of every input, seconds, peak memory, failures.

    `left_out` are scans that were there in part and never became cases, with reasons.
    """
    files = sorted({str(path) for case in cases for path in _files(case)})
    before = [{"scan": scan, "reason": why} for scan, why in (left_out or {}).items()]
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    write_json(
        path,
        {
            "versions": versions(),
            "parameters": parameters,
            "files": {name: sha256(Path(name)) for name in files},
            "failures": before + [{"scan": scan, "reason": why} for result in results for scan, why in result.failures],
            "without_truth": sorted({scan for result in results for scan in result.without_truth}),
            "seconds": sum(result.seconds for result in results),
            "peak_memory_mb": max(usage) / (1024.0 if sys.platform != "darwin" else 1024.0**2),
        },
    )


def _store(case: Case, maps: RecipeMaps | FileMaps, protocol: Protocol, work: Path) -> StoredMap:
    """Score a case and keep its map, unless it is there already."""
    described = {
        "files": [sha256(path) for path in maps.inputs(case)],
        "maps": maps.describe(),
        "protocol": dataclasses.asdict(protocol),
        "versions": versions(),
    }
    key = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()
    path = work / f"{key[:32]}.npz"
    stored = _stored(path)
    if stored is None:
        labelled, score, mask = maps.make(case, protocol)
        scan_map = protocol.scan_map(score, labelled)
        truth = protocol.cut(protocol.truth(labelled))
        # In another program's maps the image is the score: nothing is known of the FLAIR.
        scan = labelled.scan if isinstance(maps, RecipeMaps) else None
        figures = quality.brain_figures(scan.flair, scan.brain) if scan is not None and scan.brain.array.any() else {}
        stored = labelled.scan.spacing_mm, figures
        _save(path, scan_map, truth, None if mask is None else protocol.cut(mask), *stored)
    return StoredMap(case, path, stored[0], case.truth is not None, stored[1])


def _stored(path: Path) -> tuple[tuple[float, float, float], dict[str, float]] | None:
    """Voxel sides and figures of a stored map; None if there is none, or a damaged one, so that it is made again."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            x, y, z = arrays["spacing_mm"].tolist()
            figures = dict(zip(arrays["figure_names"].tolist(), arrays["figures"].tolist(), strict=True))
            arrays["score"]  # reading checks its sum
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return (x, y, z), figures


def _save(
    path: Path,
    scan_map: ScanMap,
    truth: BoolArray,
    mask: BoolArray | None,
    spacing_mm: Any,
    figures: Mapping[str, float],
) -> None:
    explicit = np.zeros(scan_map.shape, np.bool_)
    explicit.ravel()[scan_map.places] = True
    buffer = io.BytesIO()
    np.savez(
        buffer,
        shape=np.array(scan_map.shape),
        score=scan_map.score,
        explicit=np.packbits(explicit),
        brain=np.packbits(scan_map.brain),
        truth=np.packbits(truth),
        n_rest=np.array(scan_map.n_rest),
        rest_true_places=scan_map.rest_true_places,
        spacing_mm=np.array(spacing_mm),
        figure_names=np.array(list(figures), dtype=np.str_),
        figures=np.array(list(figures.values()), dtype=np.float64),
        mask=np.packbits(mask) if mask is not None else np.zeros(0, np.uint8),
    )
    write_bytes(path, buffer.getvalue())


def load_map(path: Path) -> tuple[ScanMap, BoolArray, BoolArray | None]:
    """A stored map, its truth (x, y, z), and its mask (x, y, z) if the recipe makes one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            stored = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        msg = f"The intermediate map {path} is damaged. Delete it and run again."
        raise InputError(msg) from error
    x, y, z = stored["shape"].tolist()
    truth, explicit = (_unpacked(stored[name], (x, y, z)) for name in ("truth", "explicit"))
    places = np.flatnonzero(explicit)
    brain = np.unpackbits(stored["brain"], count=places.size).astype(np.bool_)
    rest = int(stored["n_rest"]), stored["rest_true_places"]
    scan_map = ScanMap((x, y, z), places, stored["score"], truth.ravel()[places], brain, *rest)
    return scan_map, truth, _unpacked(stored["mask"], (x, y, z)) if stored["mask"].size else None


def _unpacked(bits: NDArray[np.uint8], shape: tuple[int, int, int]) -> BoolArray:
    return np.unpackbits(bits, count=int(np.prod(shape))).astype(np.bool_).reshape(shape)


def _count(scans: Sequence[StoredMap], protocol: Protocol, seed: int) -> Counts:
    """Counts of a cohort. A protocol with its own thresholds needs the cohort's range first: a second pass."""
    with_truth = [scan for scan in scans if scan.has_truth]

    def add_all(counts: Counts, filtered: bool = True) -> Counts:
        for scan in with_truth:
            rule = protocol.components_at(scan.spacing_mm)
            smallest_kept_voxels = rule.smallest_kept_voxels if filtered else 1
            counts.update(load_map(scan.path)[0], _patient(scan.case), smallest_kept_voxels, rule.connectivity)
        return counts

    if protocol.n_thresholds is None or not with_truth:
        counts = add_all(Counts.empty(seed))
    else:
        counts = add_all(Counts.empty(seed), filtered=False)  # its own thresholds are the only ones that get filtered
        counts.grid = add_all(Counts.at_thresholds(protocol.thresholds(counts), seed))
    counts.chosen_before_filter = protocol.chosen_before_filter
    return counts


def _measure(scan: StoredMap, protocol: Protocol, threshold: float) -> dict[str, float]:
    """Every metric of one scan, NaN where it is undefined: no truth, no label-free mask, no oracle threshold.

    A metric of a mask is measured at the recipe's own threshold and, under the name with `_at_oracle`, at the cohort's.
    """
    scan_map, truth, mask = load_map(scan.path)
    brain = scan_map.dense(scan_map.brain)
    score = scan_map.dense(scan_map.score)
    at_oracle = None if np.isnan(threshold) else protocol.mask_at(score, brain, threshold, scan.spacing_mm)
    if protocol.brain_only:
        truth, mask = truth & brain, None if mask is None else mask & brain
    words = {"score": score, "truth": truth, "brain": brain, "spacing_mm": scan.spacing_mm}
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
            defined = scan.has_truth and all(given[word] is not None for word in wanted)
            values[variant] = float(metric(**{word: given[word] for word in wanted})) if defined else float("nan")
    return values


def _rows(
    dataset: str,
    method: str,
    protocol: Protocol,
    counts: Counts,
    values: Sequence[tuple[Case, dict[str, float]]],
    seed: int,
) -> Iterator[Row]:
    """The cohort's rows first, of pooled voxels and of scans in the protocol's order, then each subject's."""
    start, patients = (dataset, method, protocol.name), [_patient(case) for case, _ in values]
    pooled, of_all_scans = [], []
    for name in registry.names("metrics"):
        metric = registry.load("metrics", name)
        if "counts" in inspect.signature(metric).parameters:
            interval = _interval(metric, counts) if len(set(patients)) > 1 else (float("nan"), float("nan"))
            pooled.append(Row(*start, COHORT, name, metric(counts=counts), counts.n_scans, *interval))
    for name in sorted({name for _, own in values for name in own}):
        of_scans = np.array([own.get(name, np.nan) for _, own in values])
        n = int(np.count_nonzero(~np.isnan(of_scans)))
        mean = float(np.nanmean(of_scans)) if n else float("nan")
        of_all_scans.append(Row(*start, COHORT, name, mean, n, *_mean_interval(of_scans, patients, seed)))
    yield from of_all_scans + pooled if protocol.per_subject_first else pooled + of_all_scans
    for case, own in values:
        yield from (Row(*start, _subject(case), name, value, int(value == value)) for name, value in own.items())


def _interval(metric: Callable[..., float], counts: Counts) -> tuple[float, float]:
    """95 % bootstrap interval of a cohort's metric.

    Replicates live on a coarser binning, so it is their deviation from the coarse value that is added to the fine one.
    """
    value = metric(counts=counts)
    # With thresholds of its own a protocol's replicates are exact and need no centring.
    centre = metric(counts=dataclasses.replace(counts.coarsened(), grid=counts.grid))
    replicates = np.array([metric(counts=counts.resampled(number)) for number in range(N_REPLICATES)])
    return _percentiles(replicates - centre + value)


def _mean_interval(values: NDArray[np.float64], patients: Sequence[str], seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over scans, drawn over patients; NaN values do not count."""
    known = ~np.isnan(values)
    if not known.any():
        return float("nan"), float("nan")
    weights = np.stack([poisson_weights(patient, seed) for patient in patients])[known]
    drawn = weights.sum(axis=0)
    means = np.full(N_REPLICATES, np.nan)
    means[drawn > 0] = (values[known] @ weights)[drawn > 0] / drawn[drawn > 0]
    return _percentiles(means) if len(set(patients)) > 1 else (float("nan"), float("nan"))


def _percentiles(replicates: NDArray[np.float64]) -> tuple[float, float]:
    defined = replicates[~np.isnan(replicates)]
    if defined.size == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)


def _patient(case: Case) -> str:
    """Who is drawn in the bootstrap: a patient of a data set, with all sessions."""
    return f"{case.dataset}/{case.subject}"


def _subject(case: Case) -> str:
    return f"{case.subject}_{case.session}" if case.session else case.subject


def _name(case: Case) -> str:
    return f"{case.dataset}/{_subject(case)}"


def _files(case: Case) -> list[Path]:
    images = (case.flair, case.t1, case.t2, case.brain, case.truth, case.score, case.mask)
    return [path for path in images if path]
