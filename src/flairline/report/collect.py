"""From a folder of results to its page: what `segment` found there, what a benchmark measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from flairline import executor
from flairline.benchmarking import ablation, breakdown
from flairline.benchmarking.paper import published, reconstruction, tables
from flairline.benchmarking.rows import COHORT, row_subject
from flairline.benchmarking.run import Finished
from flairline.benchmarking.store import StoredScore
from flairline.cases.columns import columns_of
from flairline.drawing.mosaic import thumbnail
from flairline.drawing.palette import compared
from flairline.errors import InputError
from flairline.evaluation.counts import Counts
from flairline.evaluation.lesions import BySize
from flairline.evaluation.protocols import Protocol
from flairline.imaging.components import label_components
from flairline.io.files import write_bytes, write_json
from flairline.io.logs import with_log
from flairline.io.tables import read_lines, read_records
from flairline.preprocess import quality
from flairline.report import build, verdicts
from flairline.report.pages import CohortPage, CohortScan, Curve, Document
from flairline.report.segmented import DETAILS, read_details, read_object, segmented_scans
from flairline.summary import Flag, Quality, Summary
from flairline.types import BoolArray, FloatArray, Mask, Space, Threshold, Volume

THUMBNAILS = "thumbnails"
PAGES = "pages"
CURVE_POINTS = 200


def write_cohort(out: Path, given: Path | None = None) -> Path:
    """Write the page of all results in a folder, with the verdicts of `given` (else those that lie there).

    Given verdicts are also kept in OUT/verdicts.json, where `flairline serve` goes on with them.

    Raises
    ------
    InputError
        There are no results, or a file of them cannot be read.
    OutputError
        The folder cannot be written to.
    """
    known = verdicts.read(out / verdicts.FILE) if (out / verdicts.FILE).exists() else {}
    if given is not None:
        known = {**known, **verdicts.read(given)}
        verdicts.write(out / verdicts.FILE, known)
    return build.write_cohort_page(out, cohort_of(out, known))


def cohort_of(out: Path, known: Mapping[str, verdicts.Verdict] | None = None) -> CohortPage:
    """The page of all results in a folder: of `segment`, of a benchmark, or of both."""
    known = known or {}
    details = read_details(out)
    rows = _rows(out / "rows.csv")
    scans = [*segmented_scans(out, details, known), *_judged(out, details, rows, known)]
    if not scans and not rows:
        msg = (
            f"Wanted results of segment or benchmark, but {out} has neither summaries nor rows.csv. Name their folder."
        )
        raise InputError(msg)
    return CohortPage(
        title=f"{'Benchmark' if rows else 'Cohort'} {out.resolve().name}",
        scans=scans,
        rows=rows,
        curves=[Curve(**curve) for curve in details.get("curves", [])],
        sizes=[size for scan in scans for size in _size(scan)],
        lesions_by_size=details.get("lesions_by_size", []),
        published=read_lines(published.TABLES)[1],
        manifest=_manifest(out),
        left_out=details.get("left_out", []),
        documents=_documents(out),
    )


def _documents(out: Path) -> list[Document]:
    """The tables that a benchmark wrote into OUT/tables and OUT/ablation."""
    of_paper = [
        _document("tables", path, tables.printed(tables.read(path))) for path in _csv_of(out, "tables/[0-9]*.csv")
    ]
    of_reconstruction = [
        _document("reconstruction", path, reconstruction.printed(read_records(path, reconstruction.Line)))
        for path in _csv_of(out, "tables/reconstruction.csv")
    ]
    of_columns = [
        _document("breakdown", path, breakdown.printed(read_records(path, breakdown.BreakdownRow)))
        for path in _csv_of(out, "tables/by_*.csv")
    ]
    of_ablation = [
        _document("ablation", path, ablation.printed(read_records(path, ablation.AblationRow)))
        for path in _csv_of(out, "ablation/*/*.csv")
    ]
    return of_paper + of_reconstruction + of_columns + of_ablation


def _csv_of(out: Path, pattern: str) -> list[Path]:
    """Tables that have their caption and notes beside them."""
    return [path for path in sorted(out.glob(pattern)) if path.with_suffix(".md").exists()]


def _document(kind: str, path: Path, printed: tuple[list[str], list[list[str]]]) -> Document:
    """A table with its caption, which is the Markdown's first line, and its notes, which are the lines of no table."""
    first, *lines = path.with_suffix(".md").read_text(encoding="utf-8").splitlines()
    notes = [line.removeprefix("- ") for line in lines if line and not line.startswith("|")]
    return Document(kind, first.replace("**", ""), *printed, notes)


def keep_details(finished: Finished) -> dict[str, str]:
    """Keep what a benchmark's page needs beyond rows.csv, while its scores are there: curves, volumes, pictures.

    Returns the scans that could not be described, with reasons.
    """
    out, protocol = finished.plan.out, finished.plan.judged_by[0]
    failures: dict[str, str] = {}
    curves: list[dict[str, Any]] = []
    scans: list[dict[str, Any]] = []
    by_size: list[dict[str, Any]] = []
    for result in finished.of_first_protocol:
        for (dataset, method), counts in result.counts.items():
            scores = result.stored.get((dataset, method), [])
            if counts.positives:
                curves.append(_curve(dataset, method, counts) | {"usable": _usable(scores)})
            describe = _Describe(out, method, protocol, counts.oracle().threshold)
            for outcome in executor.run(describe.scan, scores):
                if outcome.result is None:
                    name = f"{outcome.item.case.key}, {method}"
                    failures[name] = with_log(outcome, out, f"page of {name}").error or ""
                else:
                    scans.append(outcome.result)
            for threshold, sizes in describe.lesions.items():
                about = {"dataset": dataset, "method": method, "threshold": threshold}
                by_size += [{**about, **row, "high_ml": _finite(row["high_ml"])} for row in sizes.rows()]
    left_out = list(finished.plan.left_out)
    details = {"curves": curves, "scans": scans, "lesions_by_size": by_size, "left_out": left_out}
    write_json(out / DETAILS, details)
    return failures


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _curve(dataset: str, method: str, counts: Counts) -> dict[str, Any]:
    """Precision, recall and Dice at about `CURVE_POINTS` thresholds, evenly spread over recall and over the Dice."""
    own = counts.tried or counts
    thresholds, _, dice = own.dice_curves()
    true, false = own.cumulated()[:2].astype(float)
    recall = true / own.positives
    marked = (true + false > 0) & np.isfinite(thresholds)
    # Bins in which nothing changes draw the same point again.
    changes = np.flatnonzero(marked & np.r_[True, np.diff(true + false) > 0])
    if changes.size > CURVE_POINTS:
        steps = np.linspace(0, 1, CURVE_POINTS // 2)
        by_recall = changes[np.searchsorted(recall[changes], steps * recall[changes[-1]]).clip(0, changes.size - 1)]
        by_place = changes[(steps * (changes.size - 1)).astype(int)]
        best = changes[int(np.argmax(np.nan_to_num(dice[changes])))]
        changes = np.unique(np.r_[by_recall, by_place, best])
    changes = changes[::-1]  # thresholds ascending
    with np.errstate(invalid="ignore"):
        precision = true[changes] / (true + false)[changes]
    return {
        "method": method,
        "dataset": dataset,
        "thresholds": thresholds[changes].astype(float),
        "precision": precision,
        "recall": recall[changes],
        "dice": dice[changes],
    }


def _usable(scores: Sequence[StoredScore]) -> float | None:
    """Where the source's own rule cuts: the lowest score that it marks, the median over scans; None without one."""
    lowest = []
    for stored in scores:
        loaded = stored.load()
        if loaded.mask is not None and loaded.mask.any():
            lowest.append(float(loaded.score[loaded.mask].min()))
    return float(np.median(lowest)) if lowest else None


@dataclass(frozen=True)
class _Describe:
    """Describes the judged scans of one data set and method one by one, and adds up their lesions.

    `lesions` are those at the oracle threshold, and at the source's own if it has one.
    """

    out: Path
    method: str
    protocol: Protocol
    oracle: float
    lesions: dict[str, BySize] = field(default_factory=lambda: {"oracle": BySize(), "usable": BySize()})

    def scan(self, stored: StoredScore) -> dict[str, Any]:
        """Volume of its truth, site, and a picture of its score with what was found, missed and false."""
        loaded, case = stored.load(), stored.case
        brain, score, truth = loaded.brain, loaded.score, loaded.truth
        space = Space(loaded.scan.shape, np.diag([*stored.spacing_mm, 1.0]))
        space = space if stored.sides_known else space.without_sides()
        regions, mask = {}, None
        if not np.isnan(self.oracle):
            mask = loaded.mask_at(self.protocol, self.oracle)
            regions = compared(mask, truth)
        for kind, found in (("oracle", mask), ("usable", loaded.mask)):
            if found is not None and stored.has_truth:
                judged = brain if self.protocol.brain_only else np.ones_like(brain)
                self.lesions[kind].add(truth & judged, found & judged, space.voxel_ml)
        picture = thumbnail_name(case.key, self.method)
        write_bytes(self.out / picture, thumbnail(Volume(score, space), Mask(brain, space), regions))
        return {
            "dataset": case.dataset,
            "method": self.method,
            "subject": case.label,
            "site": case.site,
            "columns": columns_of(case),
            "truth_ml": float(truth.sum()) * space.voxel_ml if stored.has_truth else float("nan"),
            **_marked(score, loaded.mask, mask, self.oracle, space.voxel_ml),
            "thumbnail": picture,
            "figures": dict(stored.figures),
            "flags": [asdict(flag) for flag in stored.flags],
        }


def _marked(
    score: FloatArray, own: BoolArray | None, at_oracle: BoolArray | None, oracle: float, voxel_ml: float
) -> dict[str, Any]:
    """Volume, components and threshold of the mask that the scan's page shows; empty where there is none."""
    mask = at_oracle if own is None else own
    if mask is None:
        return {}
    volume = {"lesion_volume_ml": float(mask.sum()) * voxel_ml, "n_lesions": len(label_components(mask)[1]) - 1}
    if own is None:
        return {**volume, "threshold": oracle, "rule": Threshold.ORACLE}
    lowest = float(score[own].min()) if own.any() else None
    return {**volume, "threshold": lowest, "rule": "the lowest score that is marked"}


def page_name(name: str, method: str) -> str:
    """Where under OUT the page of a judged scan lies; `name` is `Case.key`."""
    return f"{PAGES}/{_file_name(name, method)}.html"


def thumbnail_name(name: str, method: str) -> str:
    """Where under OUT the picture of a judged scan lies; `name` as for `page_name`."""
    return f"{THUMBNAILS}/{_file_name(name, method)}.webp"


def _judged(
    out: Path, details: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], known: Mapping[str, verdicts.Verdict]
) -> list[CohortScan]:
    metrics: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in rows:
        if row["subject"] != COHORT:
            metrics.setdefault((row["dataset"], row["method"], row["subject"]), {})[row["metric"]] = row["value"]
    scans = []
    for scan in details.get("scans", []):
        name = f"{scan['dataset']}/{scan['subject']}"
        given = known.get(name, verdicts.Verdict())
        page = page_name(name, scan["method"])
        scans.append(
            CohortScan(
                summary=_judged_summary(scan),
                href=quote(page) if (out / page).exists() else None,
                thumbnail=_bytes(out / scan["thumbnail"]),
                site=scan.get("site") or "",
                columns=scan.get("columns") or {},
                metrics=metrics.get((scan["dataset"], scan["method"], row_subject(scan["subject"])), {}),
                method=scan["method"],
                verdict=given.verdict,
                note=given.note,
                at=given.at,
                folder=name,
            )
        )
    return scans


def _judged_summary(scan: Mapping[str, Any]) -> Summary:
    """What a segmented scan's summary would say, as far as a benchmark knows it."""
    figures = {name: value for name, value in (scan.get("figures") or {}).items() if value is not None}
    flags = [quality.Flag(**flag) for flag in scan.get("flags", ())]
    cut = scan.get("threshold")
    return Summary(
        subject=scan["subject"],
        dataset=scan["dataset"],
        truth_ml=scan.get("truth_ml"),
        lesion_volume_ml=scan.get("lesion_volume_ml"),
        n_lesions=scan.get("n_lesions"),
        threshold=None if cut is None else Threshold(cut, scan["rule"], ""),
        qc=quality_of(figures, flags),
    )


def quality_of(figures: Mapping[str, float], known: Sequence[quality.Flag] = ()) -> Quality | None:
    """Figures of a judged scan with the `known` flags and those that they raise; None where there are none."""
    if not figures:
        return None
    flags = tuple(Flag(flag.figure, flag.value, flag.reason) for flag in (*known, *quality.flags(figures)))
    return Quality(figures=dict(figures), flags=flags)


def _size(scan: CohortScan) -> list[dict[str, Any]]:
    truth_ml, dice = scan.summary.truth_ml, scan.metrics.get("dice_at_oracle", float("nan"))
    if not truth_ml or not np.isfinite(dice):
        return []
    described = {"dataset": scan.summary.dataset or "", "method": scan.method}
    return [{**described, "truth_ml": truth_ml, "dice": dice, "href": scan.href}]


def _manifest(out: Path) -> dict[str, Any]:
    """The manifest without the hash of every input, of which a cohort has thousands."""
    manifest = read_object(out / "manifest.json")
    if "files" in manifest:
        manifest["inputs"] = f"{len(manifest.pop('files'))} files, hashes in manifest.json"
    return manifest


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    _, lines = read_lines(path)
    try:
        return [{**line, **{name: float(line[name]) for name in ("value", "low", "high")}} for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        msg = f"Wanted the rows of a benchmark in {path}, but: {error}. Run the benchmark again."
        raise InputError(msg) from error


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _file_name(name: str, method: str) -> str:
    """A file name that no other scan and method has: what cannot stand in one is replaced, and a hash tells apart."""
    text = f"{name}_{method}"
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in text).lstrip(".")
    return f"{safe[:120]}_{hashlib.sha256(json.dumps([name, method]).encode()).hexdigest()[:8]}"
