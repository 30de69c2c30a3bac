"""Tables 1 to 4 of the paper, with the published value beside every number of ours.

Published values are those of published/tables.csv (Meissen et al. 2021). A table of a fragment of a data set says so in
its caption. "Dice" is the paper's [DSC]: at the threshold that is best on the labels it is judged by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flairline import executor
from flairline.benchmarking import controls
from flairline.benchmarking.judge import Result
from flairline.benchmarking.paper import published
from flairline.benchmarking.rows import COHORT, Row
from flairline.benchmarking.source import MapSource
from flairline.errors import InputError
from flairline.evaluation.protocols import Protocol, on_sri24_grid
from flairline.imaging.components import label_components
from flairline.io import tables as text
from flairline.io.files import write_text
from flairline.preprocess.brain import default_extractor
from flairline.types import Case, Progress

EXPERIMENTS = {"I": "experiment-1", "II": "experiment-2"}
METRICS = ("dice_oracle", "auprc", "auroc")
NAN = float("nan")
BEFORE_CONTROLS = ("experiment", "dataset", "method", "metric", "ours", "low", "high", "published", "difference")
BEHIND_CONTROLS = ("beats_trivial", "scans", "differs")


@dataclass(frozen=True)
class Cell:
    """One number of one table: ours, published, difference, and what it has to beat.

    `controls` are the values of `controls.names()`, in that order.
    """

    experiment: str
    dataset: str
    method: str
    metric: str
    ours: float = NAN
    low: float = NAN
    high: float = NAN
    published: float = NAN
    difference: float = NAN
    controls: tuple[float, ...] = ()
    beats_trivial: str = ""
    scans: str = ""
    differs: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption; the names of the controls are those of the columns that they have."""

    number: int
    caption: str
    cells: tuple[Cell, ...]
    controls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Truths:
    """The lesions of one scan's truth on the atlas's grid: voxels of each 26-connected component."""

    case: Case
    sizes: tuple[int, ...]


def is_published(protocol: Protocol) -> bool:
    """Whether the paper has tables of this protocol."""
    return protocol.name in EXPERIMENTS.values()


def make(
    results: Sequence[Result], truths: Sequence[Truths], cases: Sequence[Case], sources: Sequence[MapSource]
) -> list[Table]:
    """The four tables from everything that was run.

    Parameters
    ----------
    results
        Those of other protocols than the two experiments are not looked at.
    truths
        For table 1.
    cases
        All cases that were given, to count what was there.
    sources
        Whose results they are: they know which published row is theirs.
    """
    atlas = sources[0].about.atlas if sources else None
    notes = {dataset: _differences(dataset, cases, atlas) for dataset in dict.fromkeys(case.dataset for case in cases)}
    rows = [row for result in results for row in result.rows]
    ours = _Ours(_our_cells(rows, notes), {source.name: source.about.published_as for source in sources})
    fragment = _fragment(cases, results)
    i_caption = "Experiment I: slices 15 to 125 at 128 x 128"
    ii_caption = "Experiment II: slices 84 to 87 at 224 x 224"
    sizes = f"Lesions of the truth in SRI24 space, three-dimensional components.{fragment}"
    beside_baur = f"{i_caption}, beside the methods of Baur et al. (values quoted by the paper).{fragment}"
    beside_pinaya = f"{ii_caption}, beside Pinaya et al. (values quoted by the paper).{fragment}"
    both = f"{i_caption}; {ii_caption[0].lower()}{ii_caption[1:]}.{fragment}"
    second = ours.select("2", "I", ("MSLUB", "MSSEG2015"), METRICS)
    third = ours.select("3", "II", ("BraTS", "MSLUB", "WMH"), ("dice_oracle",))
    fourth = (
        *ours.select("4-I", "I", published.DATASETS, METRICS, others=True),
        *ours.select("4-II", "II", published.DATASETS, METRICS, others=True),
    )
    names = controls.names()
    return [
        Table(1, sizes, _table_1(truths), names),
        Table(2, beside_baur, tuple(second), names),
        Table(3, beside_pinaya, tuple(third), names),
        Table(4, both, fourth, names),
    ]


def lesions_of_truths(
    cases: Sequence[Case], protocol: Protocol, source: MapSource, jobs: int, progress: Progress
) -> list[Truths]:
    """The lesions of every truth that can be brought to the atlas; others were named by the benchmark already."""
    found = []
    with_truth = [case for case in cases if case.truth is not None and case.flair is not None]
    count = partial(_count_lesions, protocol=protocol, source=source)
    for done, outcome in enumerate(executor.run(count, with_truth, jobs), 1):
        progress("counting the truths' lesions", done, len(with_truth))
        if outcome.result is not None:
            found.append(outcome.result)
    return found


def write(folder: Path, tables: Iterable[Table]) -> list[Path]:
    """Write FOLDER/{1,2,3,4}.{csv,md,tex}. Raises `OutputError`."""
    paths = []
    for table in tables:
        for suffix, content in (("csv", as_csv(table)), ("md", as_markdown(table)), ("tex", as_tex(table))):
            path = folder / f"{table.number}.{suffix}"
            write_text(path, content)
            paths.append(path)
    return paths


def as_csv(table: Table) -> str:
    """All columns; undefined values are nan."""
    columns = [*BEFORE_CONTROLS, *table.controls, *BEHIND_CONTROLS]
    lines = []
    for cell in table.cells:
        values = asdict(cell)
        before, behind = ([values[name] for name in names] for names in (BEFORE_CONTROLS, BEHIND_CONTROLS))
        lines.append([*before, *(cell.controls or [NAN] * len(table.controls)), *behind])
    return text.csv_text(columns, lines)


def read(path: Path, caption: str = "") -> Table:
    """The table in a file that `as_csv` made; its number is the file's name.

    Raises
    ------
    InputError
        The file cannot be read or is no such table.
    """
    columns, lines = text.read_lines(path)
    names = tuple(name for name in columns if name not in (*BEFORE_CONTROLS, *BEHIND_CONTROLS))
    words, numbers = (*BEFORE_CONTROLS[:4], *BEHIND_CONTROLS), BEFORE_CONTROLS[4:]
    try:
        cells = []
        for line in lines:
            values: dict[str, Any] = {name: line[name] for name in words}
            values |= {name: float(line[name]) for name in numbers}
            cells.append(Cell(**values, controls=tuple(float(line[name]) for name in names)))
        return Table(int(path.stem), caption, tuple(cells), names)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"Wanted a table of the paper in {path}, but: {error}. Run the benchmark again."
        raise InputError(msg) from error


def as_markdown(table: Table) -> str:
    """Caption, table, and what differs from the published protocol."""
    notes = "\n".join(f"- {name}: {note}" for name, note in _notes(table).items())
    tail = f"\n\nWhat differs from the published protocol:\n\n{notes}" if notes else ""
    return f"**Table {table.number}.** {table.caption}\n\n{text.markdown_text(*printed(table))}{tail}\n"


def as_tex(table: Table) -> str:
    """The same for LaTeX, without any package."""
    notes = " ".join(f"{name}: {note}." for name, note in _notes(table).items())
    caption = f"{table.caption} {f'Differs from the published protocol: {notes}' if notes else ''}".strip()
    return text.tex_text(*printed(table), caption, n_left=4)


def printed(table: Table) -> tuple[list[str], list[list[str]]]:
    """Columns and cells as people read them; the CSV has more."""
    head = ["experiment", "data set", "method", "metric", "ours", "95 % interval", "published", "difference"]
    if table.number == 1:
        return [*head, "scans"], [[*_values(cell, 1), cell.scans] for cell in table.cells]
    return [*head, *table.controls, "beats the trivial baseline?", "scans"], [
        [*_values(cell, 3), *_controls_of(cell, table), cell.beats_trivial, cell.scans] for cell in table.cells
    ]


def _count_lesions(case: Case, protocol: Protocol, source: MapSource) -> Truths | None:
    labelled = source.labelled(case, protocol)
    if protocol.needs_sri24 and not on_sri24_grid(labelled.scan.space):
        return None
    _, sizes = label_components(protocol.truth(labelled))
    return Truths(case, tuple(int(size) for size in sizes[1:]))


def _our_cells(rows: Sequence[Row], notes: Mapping[str, str]) -> dict[tuple[str, str], list[Cell]]:
    """(experiment, the paper's data set) -> our cells, with the controls' values beside each."""
    cells: dict[tuple[str, str], list[Cell]] = {}
    values = {(row.protocol, row.dataset, row.method, row.metric): row.value for row in rows if row.subject == COHORT}
    names = controls.names()
    for experiment, protocol in EXPERIMENTS.items():
        for row in rows:
            if row.subject != COHORT or row.protocol != protocol or row.metric not in METRICS:
                continue
            beside = tuple(values.get((protocol, row.dataset, control, row.metric), NAN) for control in names)
            name = published.dataset_name(row.dataset)
            cell = Cell(
                experiment,
                name,
                row.method,
                row.metric,
                row.value,
                row.low,
                row.high,
                controls=beside,
                beats_trivial="" if row.method in names else _beats(row.value, beside),
                scans=published.of_published(row.dataset, row.n),
                differs=notes.get(row.dataset, ""),
            )
            cells.setdefault((experiment, name), []).append(cell)
    return cells


@dataclass(frozen=True)
class _Ours:
    """Our cells by experiment and the paper's data set, and the published row that is each method's, if any."""

    cells: Mapping[tuple[str, str], Sequence[Cell]]
    published_as: Mapping[str, str]

    def select(
        self, table: str, experiment: str, datasets: Sequence[str], metrics: Sequence[str], others: bool = False
    ) -> Iterator[Cell]:
        """The cells of a table: the paper's rows first, ours beside them, then methods that the paper has not."""
        more = [name for where, name in self.cells if where == experiment and name not in datasets] if others else []
        for dataset in (*datasets, *more):
            for metric in metrics:
                ours = [cell for cell in self.cells.get((experiment, dataset), ()) if cell.metric == metric]
                known = {
                    method: value
                    for (number, method, where, what), value in published.values().items()
                    if (number, where, what) == (table, dataset, metric)
                }
                matched = {self._published_row(cell) for cell in ours}
                for method, value in known.items():
                    if method not in matched:
                        yield Cell(experiment, dataset, method, metric, published=value)
                for cell in ours:
                    value = known.get(self._published_row(cell), NAN)
                    yield replace(cell, published=value, difference=cell.ours - value)

    def _published_row(self, cell: Cell) -> str:
        """Scores of other programs are called by whoever judges them, perhaps as the paper calls them."""
        return self.published_as.get(cell.method) or cell.method


def _table_1(truths: Sequence[Truths]) -> tuple[Cell, ...]:
    cells = []
    names = dict.fromkeys((*published.DATASETS, *(published.dataset_name(scan.case.dataset) for scan in truths)))
    for name in names:
        scans = [scan for scan in truths if published.dataset_name(scan.case.dataset) == name]
        sizes = np.array([size for scan in scans for size in scan.sizes])
        values = {
            "anomalies_per_scan": sizes.size / len(scans) if scans else NAN,
            "anomaly_voxels_mean": float(sizes.mean()) if sizes.size else NAN,
        }
        for metric, value in values.items():
            value_published = published.values().get(("1", "-", name, metric), NAN)
            n_scans = published.of_published(scans[0].case.dataset, len(scans)) if scans else ""
            difference = value - value_published
            cells.append(
                Cell("", name, "-", metric, value, published=value_published, difference=difference, scans=n_scans)
            )
    return tuple(cells)


def _beats(value: float, beside: Sequence[float]) -> str:
    known = [control for control in beside if not np.isnan(control)]
    if not known or np.isnan(value):
        return ""
    return "yes" if value > max(known) else "no"


def _fragment(cases: Sequence[Case], results: Sequence[Result]) -> str:
    """What a reader must know about how much of each data set was there."""
    used: dict[str, int] = {}
    for result in results:
        for (dataset, _), counts in result.counts.items():
            used[dataset] = max(used.get(dataset, 0), counts.n_scans)
    parts = []
    for dataset in dict.fromkeys(case.dataset for case in cases):
        n_published = published.fact(dataset, "n_published", 0)
        if n_published and used.get(dataset, 0) < n_published:
            name = published.dataset_name(dataset)
            parts.append(f"{used.get(dataset, 0)} of the {n_published} published scans of {name}")
        elif not n_published:
            parts.append(f"{used.get(dataset, 0)} scans of {dataset}, which the paper did not use")
    return f" A fragment: {', '.join(parts)}." if parts else ""


def _differences(dataset: str, cases: Sequence[Case], atlas: str | None) -> str:
    """What of our run differs from the published protocol, in words."""
    own = [case for case in cases if case.dataset == dataset]
    release = published.fact(dataset, "subjects", ())
    there = {case.label for case in own}
    parts = []
    n_published = published.fact(dataset, "n_published", 0)
    if n_published:
        parts.append(f"{len(there & set(release))} of {n_published} published scans")
        note = published.fact(dataset, "scans_note", "")
        parts += [note] if note else []
    strangers = there - set(release) if release else set()
    parts += [f"{len(strangers)} scans of another release"] if strangers else []
    parts += ["brain masks as distributed, not ROBEX"] if any(case.brain for case in own) else []
    if atlas:
        parts.append("registration (where a scan is not on the atlas's grid) by greedy, not dipy")
        parts += [] if any(case.brain for case in own) else [f"brains by {default_extractor()} where there is a skull"]
    parts.append("exact ranks of the intensities as stored, not of truncated integers")
    return "; ".join(parts)


def _notes(table: Table) -> dict[str, str]:
    return {cell.dataset: cell.differs for cell in table.cells if cell.differs}


def _controls_of(cell: Cell, table: Table) -> list[str]:
    return [_number(value) for value in cell.controls or [NAN] * len(table.controls)]


def _values(cell: Cell, digits: int) -> list[str]:
    interval = "" if np.isnan(cell.low) else f"{_number(cell.low, digits)} to {_number(cell.high, digits)}"
    ours, difference = _number(cell.ours, digits), _number(cell.difference, digits, sign=True)
    names = [cell.experiment, cell.dataset, cell.method, cell.metric]
    return [*names, ours, interval, _number(cell.published, digits), difference]


def _number(value: float, digits: int = 3, sign: bool = False) -> str:
    return "" if np.isnan(value) else f"{value:{'+' if sign else ''}.{digits}f}"
