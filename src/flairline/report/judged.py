"""Pages of the scans that a benchmark judged: of those that one wants to look at, or of all.

A benchmark keeps scores, masks and truths, but no scans. A page's image is therefore read and prepared once more as the
protocol wants it; that takes seconds a scan, which is why not every scan of a thousand gets a page unless asked for.
One scan is held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from flairline import executor as engine
from flairline import segmentation as segment
from flairline.benchmarking import judge as benchmark
from flairline.drawing.mosaic import thumbnail
from flairline.drawing.palette import compared
from flairline.errors import InputError
from flairline.evaluation.protocols import Protocol
from flairline.io.files import write_bytes
from flairline.io.nifti import read_volume
from flairline.io.versions import versions
from flairline.report import build, collect, verdicts
from flairline.report.outliers import outliers_of
from flairline.report.pages import CohortScan, ScanPage
from flairline.summary import Parameters, Summary
from flairline.types import BoolArray, Mask, Progress, Scan, Space, Threshold, Volume, no_progress

Pages = Literal["all", "some", "none"]
PAGES: tuple[Pages, ...] = ("all", "some", "none")
EACH = 3
"""So many best and so many worst scans of each method on each data set get a page."""


@dataclass(frozen=True)
class _Wanted:
    """A page to make: the cohort's row, the stored map, and the threshold where the recipe has none of its own."""

    row: CohortScan
    stored: benchmark.StoredMap
    oracle: float

    @property
    def name(self) -> str:
        """Name of the scan, for messages."""
        return f"{self.row.key}, {self.row.method}"


def checked_pages(pages: str) -> Pages:
    """One of `PAGES`. Raises `InputError`."""
    for known in PAGES:
        if pages == known:
            return known
    msg = f"Wanted --pages all, some or none, got {pages!r}."
    raise InputError(msg)


def write_pages(
    out: Path,
    results: Sequence[benchmark.Result],
    maps: Sequence[benchmark.RecipeMaps | benchmark.FileMaps],
    protocol: Protocol,
    pages: Pages,
    *,
    jobs: int = 1,
    progress: Progress = no_progress,
) -> dict[str, str]:
    """Write OUT/pages/*.html of the scans to look at; needs rows.csv, report.json and the stored maps.

    Returns
    -------
    dict
        Scans whose page could not be made, with reasons.
    """
    for old in (out / collect.PAGES).glob("*.html"):
        old.unlink()  # of an earlier run, whose maps are gone
    if pages == "none":
        return {}
    rows = collect.cohort_of(out).scans
    chosen = {(row.key, row.method) for row in (rows if pages == "all" else to_look_at(rows))}
    by_name = {one.name: one for one in maps}
    failures = {}
    wanted = list(_wanted(results, rows, chosen))
    write = partial(_write, out=out, maps=by_name, protocol=protocol)
    for done, outcome in enumerate(engine.run(write, wanted, jobs), 1):
        progress("writing pages", done, len(wanted))
        if outcome.error is not None:
            failures[outcome.item.name] = outcome.error
    return failures


def to_look_at(scans: Sequence[CohortScan]) -> list[CohortScan]:
    """The best and the worst scans of each method on each data set, everything flagged, and every outlier."""
    groups: dict[tuple[str, str], list[tuple[float, CohortScan]]] = {}
    for scan in scans:
        dice = scan.metrics.get("dice_at_oracle", float("nan"))
        if dice == dice:
            groups.setdefault((scan.method, str(scan.summary.dataset)), []).append((dice, scan))
    chosen = [scan for scan in scans if scan.flags] + [scan for scan, _ in outliers_of(scans)]
    for group in groups.values():
        ordered = [scan for _, scan in sorted(group, key=lambda entry: entry[0])]
        chosen += ordered[:EACH] + ordered[-EACH:]
    keys = {(scan.key, scan.method) for scan in chosen}
    return [scan for scan in scans if (scan.key, scan.method) in keys]


def _wanted(
    results: Sequence[benchmark.Result], rows: Sequence[CohortScan], chosen: set[tuple[str, str]]
) -> Iterator[_Wanted]:
    by_key = {(row.key, row.method): row for row in rows}
    for result in results:
        for (dataset, method), scans in result.stored.items():
            oracle = result.counts[dataset, method].oracle().threshold
            for stored in scans:
                key = (verdicts.case_name(stored.case), method)
                # Without a truth there is no oracle, and without a mask of the recipe's own then nothing to show.
                if key in chosen and key in by_key:
                    yield _Wanted(by_key[key], stored, oracle)


def _write(
    wanted: _Wanted,
    out: Path,
    maps: Mapping[str, benchmark.RecipeMaps | benchmark.FileMaps],
    protocol: Protocol,
) -> bool:
    """Write one page; False where nothing says what is marked."""
    page = page_of(wanted.row, wanted.stored, wanted.oracle, maps[wanted.row.method], protocol)
    if page is not None:
        build.write_page(out / collect.page_name(wanted.row.key, wanted.row.method), page)
        write_bytes(out / collect.thumbnail_name(wanted.row.key, wanted.row.method), _thumbnail(page, wanted, protocol))
    return page is not None


def _thumbnail(page: ScanPage, wanted: _Wanted, protocol: Protocol) -> bytes:
    """What `collect` drew over the score, over the image: most scores are black but for the lesion."""
    regions = {}
    if page.truth is not None and not np.isnan(wanted.oracle):
        mask = protocol.mask_at(page.score.array, page.scan.brain.array, wanted.oracle, wanted.stored.spacing_mm)
        regions = compared(mask, page.truth.array)
    return thumbnail(page.scan.flair, page.scan.brain, regions)


def page_of(
    row: CohortScan,
    stored: benchmark.StoredMap,
    oracle: float,
    maps: benchmark.RecipeMaps | benchmark.FileMaps,
    protocol: Protocol,
) -> ScanPage | None:
    """The page of a judged scan: with the recipe's own mask, else the mask at the cohort's oracle threshold.

    None where there is neither, or no brain.
    """
    scan_map, truth, mask = benchmark.load_map(stored.path)
    brain, score = scan_map.dense(scan_map.brain), scan_map.dense(scan_map.score)
    if not brain.any() or (mask is None and np.isnan(oracle)):
        return None
    flair, space, image = _image(stored, maps, protocol, score)
    if mask is None:
        mask = protocol.mask_at(score, brain, oracle, stored.spacing_mm)
        threshold = Threshold(oracle, Threshold.ORACLE, f"the labels of {stored.case.dataset}")
    else:
        threshold = _own_threshold(score, mask, maps)
    if protocol.brain_only:
        truth, mask = truth & brain, mask & brain
    scan = Scan.of(row.subject, Volume(flair, space), Mask(brain, space))
    return ScanPage(
        scan,
        Volume(score, space),
        Mask(mask, space),
        threshold,
        _summary(row, scan, mask, threshold, maps, protocol, stored),
        Mask(truth, space) if stored.has_truth else None,
        index=f"../{build.COHORT_PAGE}",
        row=row,
        image=image,
    )


def _image(
    stored: benchmark.StoredMap,
    maps: benchmark.RecipeMaps | benchmark.FileMaps,
    protocol: Protocol,
    score: Any,
) -> tuple[Any, Space, str]:
    """FLAIR (x, y, z) on the judged grid, that grid, and what the image is; the score where there is no FLAIR."""
    case = stored.case
    if isinstance(maps, benchmark.FileMaps):
        labelled, _, _ = maps.make(case, protocol)
        space = _cut_space(labelled.scan.space, protocol)
        flair = read_volume(case.flair) if case.flair is not None else None
        source = case.score or case.mask
        if flair is None or source is None or not flair.space.same_grid(read_volume(source).space):
            return np.ascontiguousarray(score), space, "score"
        whole = np.ones(flair.space.shape, dtype=np.bool_)
        as_scan = Scan.of(case.subject, flair, Mask(whole, flair.space))
        prepared = protocol.prepare(replace(labelled, scan=as_scan, labels=None, ignored=None)).scan
    else:
        prepared = protocol.prepare(maps.labelled(case, protocol)).scan
        space = _cut_space(prepared.space, protocol)
    return np.ascontiguousarray(protocol.cut(prepared.flair.array)), space, "FLAIR"


def _cut_space(space: Space, protocol: Protocol) -> Space:
    """The grid that is left when only the judged slices stay."""
    if protocol.slices is None:
        return space
    vox_to_ras = space.vox_to_ras.copy()
    vox_to_ras[:3, 3] += vox_to_ras[:3, 2] * protocol.slices[0]
    height = len(range(*slice(*protocol.slices).indices(space.shape[2])))
    return Space((*space.shape[:2], height), vox_to_ras, space.name)


def _own_threshold(score: Any, mask: BoolArray, maps: benchmark.RecipeMaps | benchmark.FileMaps) -> Threshold:
    """Where a mask cuts its score: the lowest value that it marks; just above the highest where it marks none."""
    value = float(score[mask].min()) if mask.any() else float(np.nextafter(score.max(), np.inf, dtype=score.dtype))
    if isinstance(maps, benchmark.FileMaps):
        return Threshold(value, "the mask that was given", "whatever its maker chose it on")
    return Threshold(value, "the recipe's own rule; the lowest score that it marked", "no labels")


def _summary(
    row: CohortScan,
    scan: Scan,
    mask: BoolArray,
    threshold: Threshold,
    maps: benchmark.RecipeMaps | benchmark.FileMaps,
    protocol: Protocol,
    stored: benchmark.StoredMap,
) -> Summary:
    """What the page says of the scan, in the words of summary.json."""
    recipe = maps.recipe if isinstance(maps, benchmark.RecipeMaps) else None
    rule = recipe.threshold if recipe is not None else None
    note = recipe.note(rule) if recipe is not None and rule is not None else ""
    components = (
        recipe.components if recipe is not None and rule is not None else protocol.components_at(scan.spacing_mm)
    )
    found = Mask(mask, scan.space)
    return Summary(
        subject=row.subject,
        dataset=stored.case.dataset,
        method=recipe.method if recipe is not None else row.method,
        recipe=recipe.name if recipe is not None else None,
        threshold=threshold,
        note=note,
        site=row.site or None,
        qc=collect.quality_of(stored.figures),
        metrics={name: value for name, value in row.metrics.items() if value == value},
        parameters=Parameters(protocol=asdict(protocol), components=asdict(components)),
        versions=versions(),
    ).measured(found, scan.brain, segment.lesions_of(found, scan.brain))
