"""The group level: from a folder of derivatives, and nothing else, to its tables and its page.

Read are the scans' states and summaries, one after the other; kept of each is one line.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from flairline import registry
from flairline.cases.columns import participants_of
from flairline.cohort import counted, derivatives
from flairline.cohort.layout import Visit, natural
from flairline.cohort.state import STATES, ScanState, failed, locked, states_of
from flairline.errors import InputError
from flairline.evaluation.breakdown import Split, split
from flairline.evaluation.lesions import SIZE_CLASSES_ML
from flairline.evaluation.pooled import pooled_metric
from flairline.io.files import write_json, write_text
from flairline.io.tables import tsv_text
from flairline.report import build, verdicts
from flairline.report.pages import MOST_PICTURES, CohortPage, CohortScan, Document
from flairline.summary import Summary

SCANS, DICTIONARY = "group_scans.tsv", "group_scans.json"
VISITS = "group_visits.tsv"
METRICS = "group_metrics.tsv"
UNKNOWN_REGION = "unknown"
AGAIN = "Run the participant level again."

Line = dict[str, Any]
"""One scan: column -> value."""

DESCRIPTIONS: Mapping[str, Mapping[str, str]] = {
    "participant_id": {"Description": "Subject"},
    "session_id": {"Description": "Session; n/a where the subject has none"},
    "status": {"Description": "done, or failed"},
    "lesion_volume_ml": {"Description": "Volume of all that was marked", "Units": "mL"},
    "lesions": {"Description": "Number of marked components"},
    "brain_volume_ml": {"Description": "Volume of the brain", "Units": "mL"},
    "marked_share_of_brain": {"Description": "Share of the brain that was marked"},
    "recipe": {"Description": "What ran"},
    "threshold": {"Description": "Score from which on a voxel was marked"},
    "threshold_rule": {"Description": "How the threshold was found"},
    "note": {"Description": "What a reader must know of the volume"},
    "flags": {"Description": "Quality figures outside their limits, in words"},
    "truth_ml": {"Description": "Volume of what a rater drew", "Units": "mL"},
    "dice": {"Description": "Overlap with what a rater drew, at the scan's own threshold"},
    "seconds": {"Description": "Time that the scan took", "Units": "s"},
    "peak_mb": {
        "Description": "Most memory of the process meanwhile; where the system keeps no such peak, since it began",
        "Units": "MB",
    },
    "error": {"Description": "Why it failed"},
}
"""The columns that every table of scans has."""
BEFORE_REGIONS = tuple(DESCRIPTIONS)[:11]


@dataclass(frozen=True)
class GroupScan:
    """One scan of the group: what became of it, its line of the table, what the page shows, where its counts lie."""

    state: ScanState
    line: Line
    shown: CohortScan
    counts: Path | None = None


@dataclass(frozen=True)
class Group:
    """All scans of a folder of derivatives.

    Attributes
    ----------
    extra
        Columns of participants.tsv, by the name that they have in the table of scans.
    """

    scans: Sequence[GroupScan]
    extra: Sequence[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """Of the table of scans: what all have, sizes, regions, participants' columns."""
        known = [*DESCRIPTIONS, *self.extra]
        measured = dict.fromkeys(name for scan in self.scans for name in scan.line if name not in known)
        after = [name for name in DESCRIPTIONS if name not in BEFORE_REGIONS]
        return [*BEFORE_REGIONS[:2], *self.extra, *BEFORE_REGIONS[2:], *sorted(measured, key=_order), *after]

    @property
    def splits(self) -> list[Split]:
        """The scans by each column of participants.tsv."""
        return [split(column, [str(scan.line.get(column) or "") for scan in self.scans]) for column in self.extra]

    def parts(self) -> Iterator[tuple[str, str, list[GroupScan]]]:
        """Column, value and scans: all of them, then by each participants' column that has groups."""
        yield "all", "all", list(self.scans)
        for parted in self.splits:
            for value, places in parted.groups.items():
                yield parted.column, value, [self.scans[place] for place in places]


def write_group(out: Path) -> list[Path]:
    """Write the group's tables, their dictionary and the cohort's page into OUT; returns their paths.

    Raises
    ------
    InputError
        OUT holds no scan that the participant level made.
    BusyError
        Another process writes the same group.
    OutputError
        OUT cannot be written to.
    """
    if not (out / STATES).is_dir():
        msg = f"Wanted the OUT of a participant level, but {out} has no folder {STATES}/. Run that level first."
        raise InputError(msg)
    with locked(out, "group"):
        group = read_group(out)
        columns = group.columns
        lines = ([scan.line.get(name) for name in columns] for scan in group.scans)
        write_text(out / SCANS, tsv_text(columns, lines))
        write_json(out / DICTIONARY, {name: _described(name, group) for name in columns})
        visits, figures = visits_of(group), figures_of(group)
        paths = [out / SCANS, out / DICTIONARY]
        for name, table in ((VISITS, visits), (METRICS, figures)):
            (out / name).unlink(missing_ok=True)  # what an earlier group had
            if table.lines:
                write_text(out / name, tsv_text(table.columns, table.lines))
                paths.append(out / name)
        page = CohortPage(
            title=f"Cohort {out.resolve().name}",
            scans=[scan.shown for scan in group.scans],
            documents=[_printed(table) for table in (figures, visits) if table.lines],
        )
        return [*paths, build.write_cohort_page(out, page)]


def read_group(out: Path) -> Group:
    """All scans of a folder of derivatives, in natural order. Raises `InputError` where it holds none."""
    states = sorted(states_of(out), key=lambda state: natural(state.name))
    if not states:
        msg = f"Wanted scans that the participant level made in {out}, found none. Run that level first."
        raise InputError(msg)
    extra, people = participants_of(out / STATES)
    names = {column: f"participant_{column}" if column in DESCRIPTIONS else column for column in extra}
    known = verdicts.read(out / verdicts.FILE) if (out / verdicts.FILE).exists() else {}
    pictures = len(states) <= MOST_PICTURES
    scans = []
    for state in states:
        visit = visit_of(state.name)
        person = {names[column]: value for column, value in people.get(visit.subject, {}).items()}
        given = known.get(state.name, verdicts.Verdict())
        try:
            scans.append(_scan(out, state, visit, person, given, pictures))
        except InputError as error:  # one file that is lost must not cost the whole group
            gone = failed(state, f"What was made of it cannot be read: {error.__cause__}. {AGAIN}")
            scans.append(_scan(out, gone, visit, person, given, pictures))
    _say_none_in_regions([scan.line for scan in scans])
    return Group(scans, list(names.values()))


@dataclass(frozen=True)
class Table:
    """A table of the group: what it is called, its columns, its lines."""

    title: str
    columns: Sequence[str]
    lines: Sequence[Sequence[Any]]


def visits_of(group: Group) -> Table:
    """ml by visit of each subject that was scanned more than once, sessions in natural order."""
    by_subject: dict[str, list[Line]] = defaultdict(list)
    for scan in group.scans:
        if scan.state.status == "done":
            by_subject[scan.line["participant_id"]].append(scan.line)
    lines = []
    for subject, visits in by_subject.items():
        first = visits[0]["lesion_volume_ml"]
        for line in visits if len(visits) > 1 else ():
            volume = line["lesion_volume_ml"]
            lines.append([subject, line["session_id"], volume, line["lesions"], volume - first])
    columns = ["participant_id", "session_id", "lesion_volume_ml", "lesions", "since_first_ml"]
    return Table("Visits: ml by session", columns, lines)


def figures_of(group: Group) -> Table:
    """Volumes, and where there are truths figures against them, of all scans and by participants' columns.

    Cohort metrics come from the scans' counts inside their brains, added up; `dice` is the mean of the scans' own.
    """
    lines = []
    for column, value, scans in group.parts():
        done = [scan for scan in scans if scan.state.status == "done"]
        volumes = [scan.line["lesion_volume_ml"] for scan in done]
        figures: dict[str, tuple[float, int]] = {
            "scans": (len(scans), len(scans)),
            "failed": (len(scans) - len(done), len(scans)),
            "flagged": (sum(bool(scan.state.flags) for scan in scans), len(scans)),
        }
        if volumes:
            figures["median_lesion_volume_ml"] = float(np.median(volumes)), len(volumes)
            figures["mean_lesion_volume_ml"] = float(np.mean(volumes)), len(volumes)
        counts = [scan.counts for scan in scans if scan.counts is not None]
        if counts:
            overlaps = [scan.line["dice"] for scan in scans if not math.isnan(scan.line.get("dice", math.nan))]
            figures["dice"] = float(np.mean(overlaps)) if overlaps else math.nan, len(overlaps)
            figures |= _of_counts(counts)
        lines += [[column, value, name, figure, n] for name, (figure, n) in figures.items()]
    return Table("Figures of all scans, and by columns of participants.tsv", _FIGURE_COLUMNS, lines)


_FIGURE_COLUMNS = ["column", "value", "figure", "result", "scans"]


def visit_of(name: str) -> Visit:
    """The visit that a state's name is of, without its files."""
    subject, _, session = name.removeprefix("sub-").partition("_ses-")
    return Visit(subject, session, {})


def _of_counts(paths: Sequence[Path]) -> dict[str, tuple[float, int]]:
    """Metrics of a cohort's counts, which are read one after the other; each with the number of its scans."""
    cohort = counted.merged(map(counted.read_counts, paths))
    metrics = {name: registry.load("metrics", name) for name in registry.names("metrics")}
    of_counts = {name: metric for name, metric in metrics.items() if "counts" in inspect.signature(metric).parameters}
    return {name: (pooled_metric(name, metric, cohort), len(paths)) for name, metric in of_counts.items()}


def _scan(
    out: Path, state: ScanState, visit: Visit, person: Mapping[str, str], given: verdicts.Verdict, pictures: bool
) -> GroupScan:
    line: Line = {"participant_id": f"sub-{visit.subject}", "session_id": visit.session and f"ses-{visit.session}"}
    line |= {"status": state.status, **person, "flags": "; ".join(state.flags), "error": state.error}
    shown = CohortScan(Summary(subject=visit.name), folder=visit.name, site=person.get("site", ""), columns=person)
    shown = replace(shown, verdict=given.verdict, note=given.note, at=given.at)
    if state.status != "done":
        return GroupScan(state, line, replace(shown, error=f"Failed: {state.error}"))
    summary = Summary.read(out / derivatives.summary_path(visit))
    line |= _measured(summary) | {"seconds": round(state.seconds, 2), "peak_mb": round(state.peak_mb, 1)}
    counts, figures = None, {}
    if counted.counts_path(visit.name) in state.outputs:
        counts = out / counted.counts_path(visit.name)
        judged = counted.read_counts(counts)
        figures = {"dice": judged.dice}
        line |= {"truth_ml": judged.truth_ml, **figures}
        summary = replace(summary, truth_ml=judged.truth_ml)
    picture = out / derivatives.thumbnail_path(visit)
    shown = replace(
        shown,
        summary=summary,
        href=derivatives.page_path(visit),
        thumbnail=picture.read_bytes() if pictures and picture.exists() else None,
        metrics=figures,
    )
    return GroupScan(state, line, shown, counts)


def _measured(summary: Summary) -> Line:
    """Volumes and counts of one scan: of all, by size, by region."""
    cut = summary.threshold
    line: Line = {
        "lesion_volume_ml": summary.lesion_volume_ml,
        "lesions": summary.n_lesions,
        "brain_volume_ml": summary.brain_volume_ml,
        "marked_share_of_brain": summary.marked_share_of_brain,
        "recipe": summary.recipe,
        "threshold": None if cut is None else cut.value,
        "threshold_rule": None if cut is None else cut.rule,
        "note": summary.note,
    }
    for size in SIZES:
        line |= {f"ml_{size}": 0.0, f"lesions_{size}": 0}
    for lesion in summary.lesions or ():
        place = int(np.digitize(lesion.volume_ml * (1 + 1e-9), SIZE_CLASSES_ML[1:-1]))
        region = derivatives.region_of(lesion) or UNKNOWN_REGION
        for name in (SIZES[place], f"in_{region.replace(' ', '_')}"):
            line[f"ml_{name}"] = line.get(f"ml_{name}", 0.0) + lesion.volume_ml
            line[f"lesions_{name}"] = line.get(f"lesions_{name}", 0) + 1
    return line


def _say_none_in_regions(lines: Sequence[Line]) -> None:
    """0 for the regions in which a scan has no lesion, where the regions of all its lesions are known.

    Where one of them is not, it may lie in any: nothing is said then (n/a).
    """
    known = {name for line in lines for name in line if name.startswith(("ml_in_", "lesions_in_"))}
    for line in lines:
        if line["status"] == "done" and f"lesions_in_{UNKNOWN_REGION}" not in line:
            for name in known - line.keys():
                line[name] = 0.0 if name.startswith("ml_") else 0


def _size_name(low: float, high: float) -> str:
    return f"from_{low:g}_ml" if math.isinf(high) else f"{low:g}_to_{high:g}_ml"


SIZES = [_size_name(*bounds) for bounds in itertools.pairwise(SIZE_CLASSES_ML)]
"""Names of the classes of a lesion's volume, the smallest first."""


def _order(name: str) -> tuple[int, int, str]:
    """Sizes before regions, ml beside the number."""
    _, _, what = name.partition("_")
    return (0, SIZES.index(what), name) if what in SIZES else (1, 0, what + name)


def _described(name: str, group: Group) -> Mapping[str, str]:
    if name in DESCRIPTIONS:
        return DESCRIPTIONS[name]
    if name in group.extra:
        return {"Description": "As in the source's participants.tsv"}
    kind, _, what = name.partition("_")
    where = f"in the region {what[3:]}" if what.startswith("in_") else f"of the volume {what.replace('_', ' ')}"
    if kind == "ml":
        return {"Description": f"Volume of the lesions {where}", "Units": "mL"}
    return {"Description": f"Number of the lesions {where}"}


def _printed(table: Table) -> Document:
    """The table as the page shows it."""
    return Document("group", table.title, table.columns, [[_cell(value) for value in line] for line in table.lines])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "n/a" if math.isnan(value) else f"{value:.4g}"
    return "n/a" if value in (None, "") else str(value)
