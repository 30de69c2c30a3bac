"""Pages of the scans that a benchmark judged: of those that one wants to look at, or of all.

A benchmark keeps scores, masks and truths, but no scans. A page's image is therefore read and prepared once more as the
protocol wants it; that takes seconds a scan, which is why not every scan of a thousand gets a page unless asked for.
One scan is held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flairline import executor
from flairline.benchmarking.run import Finished
from flairline.benchmarking.source import About, MapSource
from flairline.benchmarking.store import StoredScore
from flairline.drawing.mosaic import thumbnail
from flairline.drawing.palette import compared
from flairline.errors import InputError
from flairline.evaluation.protocols import Protocol
from flairline.imaging.measure import lesions_of
from flairline.io.files import remove_file, write_bytes
from flairline.io.logs import with_log
from flairline.io.versions import versions
from flairline.report import build, collect
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
    """A page to make: the cohort's row, the stored score, and the threshold where the source has none of its own."""

    row: CohortScan
    stored: StoredScore
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


def write_pages(finished: Finished, pages: Pages, progress: Progress = no_progress) -> dict[str, str]:
    """Write OUT/pages/*.html of the scans to look at; needs rows.csv, report.json and the stored scores.

    Returns
    -------
    dict
        Scans whose page could not be made, with reasons.
    """
    plan, protocol = finished.plan, finished.plan.judged_by[0]
    for old in (plan.out / collect.PAGES).glob("*.html"):
        remove_file(old)  # of an earlier run, whose scores are gone
    if pages == "none":
        return {}
    rows = collect.cohort_of(plan.out).scans
    chosen = {(row.key, row.method) for row in (rows if pages == "all" else to_look_at(rows))}
    by_name = {source.name: source for source in plan.sources}
    failures = {}
    wanted = list(_wanted(finished, rows, chosen))
    write = partial(_write, out=plan.out, sources=by_name, protocol=protocol)
    for done, outcome in enumerate(executor.run(write, wanted, plan.jobs), 1):
        progress("writing pages", done, len(wanted))
        if outcome.error is not None:
            failures[outcome.item.name] = with_log(outcome, plan.out, f"page of {outcome.item.name}").error or ""
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


def _wanted(finished: Finished, rows: Sequence[CohortScan], chosen: set[tuple[str, str]]) -> Iterator[_Wanted]:
    by_key = {(row.key, row.method): row for row in rows}
    for result in finished.of_first_protocol:
        for (dataset, method), scans in result.stored.items():
            oracle = result.counts[dataset, method].oracle().threshold
            for stored in scans:
                key = (stored.case.key, method)
                # Without a truth there is no oracle, and without a mask of the source's own then nothing to show.
                if key in chosen and key in by_key:
                    yield _Wanted(by_key[key], stored, oracle)


def _write(wanted: _Wanted, out: Path, sources: Mapping[str, MapSource], protocol: Protocol) -> bool:
    """Write one page; False where nothing says what is marked."""
    row = wanted.row
    page = page_of(row, wanted.stored, wanted.oracle, sources[row.method], protocol)
    if page is not None:
        build.write_page(out / collect.page_name(row.key, row.method), page)
        write_bytes(out / collect.thumbnail_name(row.key, row.method), _thumbnail(page, wanted, protocol))
    return page is not None


def _thumbnail(page: ScanPage, wanted: _Wanted, protocol: Protocol) -> bytes:
    """What `collect` drew over the score, over the image: most scores are black but for the lesion."""
    regions = {}
    if page.truth is not None and not np.isnan(wanted.oracle):
        mask = protocol.mask_at(page.score.array, page.scan.brain.array, wanted.oracle, wanted.stored.spacing_mm)
        regions = compared(mask, page.truth.array)
    return thumbnail(page.scan.flair, page.scan.brain, regions)


def page_of(
    row: CohortScan, stored: StoredScore, oracle: float, source: MapSource, protocol: Protocol
) -> ScanPage | None:
    """The page of a judged scan: with the source's own mask, else the mask at the cohort's oracle threshold.

    None where there is neither, or no brain.
    """
    loaded, about = stored.load(), source.about
    brain, score, truth, mask = loaded.brain, loaded.score, loaded.truth, loaded.mask
    if not brain.any() or (mask is None and np.isnan(oracle)):
        return None
    picture = source.picture(stored.case, protocol)
    space = _cut_space(picture.space, protocol)
    space = space if stored.sides_known else space.without_sides()
    flair = score if picture.flair is None else protocol.cut(picture.flair)
    if mask is None:
        mask = loaded.mask_at(protocol, oracle)
        threshold = Threshold(oracle, Threshold.ORACLE, f"the labels of {stored.case.dataset}")
    else:
        threshold = _own_threshold(score, mask, about)
    if protocol.brain_only:
        truth, mask = truth & brain, mask & brain
    scan = Scan.of(row.subject, Volume(np.ascontiguousarray(flair), space), Mask(brain, space))
    found, summary = Mask(mask, space), _summary(row, about, threshold, protocol, stored)
    return ScanPage(
        scan,
        Volume(score, space),
        found,
        threshold,
        summary.measured(found, scan.brain, lesions_of(found, scan.brain)),
        Mask(truth, space) if stored.has_truth else None,
        index=f"../{build.COHORT_PAGE}",
        row=row,
        image="score" if picture.flair is None else "FLAIR",
    )


def _cut_space(space: Space, protocol: Protocol) -> Space:
    """The grid that is left when only the judged slices stay."""
    if protocol.slices is None:
        return space
    vox_to_ras = space.vox_to_ras.copy()
    vox_to_ras[:3, 3] += vox_to_ras[:3, 2] * protocol.slices[0]
    height = len(range(*slice(*protocol.slices).indices(space.shape[2])))
    return Space((*space.shape[:2], height), vox_to_ras, space.name)


def _own_threshold(score: NDArray[np.float32], mask: BoolArray, about: About) -> Threshold:
    """Where a mask cuts its score: the lowest value that it marks; just above the highest where it marks none."""
    value = float(score[mask].min()) if mask.any() else float(np.nextafter(score.max(), np.inf, dtype=score.dtype))
    return Threshold(value, about.threshold_rule, about.threshold_chosen_on)


def _summary(row: CohortScan, about: About, threshold: Threshold, protocol: Protocol, stored: StoredScore) -> Summary:
    """What the page says of the scan but for the measures of its mask, in the words of summary.json."""
    components = about.components or protocol.components_at(stored.spacing_mm)
    return Summary(
        subject=row.subject,
        dataset=stored.case.dataset,
        method=about.method or row.method,
        recipe=about.recipe or None,
        threshold=threshold,
        note=about.note,
        site=row.site or None,
        qc=collect.quality_of(stored.figures, stored.flags),
        metrics={name: value for name, value in row.metrics.items() if value == value},
        parameters=Parameters(protocol=protocol.describe(), components=asdict(components)),
        versions=versions(),
    )
