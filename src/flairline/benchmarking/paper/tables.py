"""Tables 1 to 4 of the paper, with the published value beside every number of ours.

Published values are those of published/tables.csv (Meissen et al. 2021). A table of a fragment of a data set says so in
its caption. "Dice" is the paper's [DSC]: at the threshold that is best on the labels it is judged by.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from flairline import executor as engine
from flairline import registry
from flairline.benchmarking.judge import COHORT, FileMaps, RecipeMaps, Result, Row, labelled_by
from flairline.evaluation.protocols import Protocol, on_sri24_grid
from flairline.imaging.components import label_components
from flairline.io.files import write_text
from flairline.preprocess.brain import default_extractor
from flairline.types import Case, Progress

CONTROLS = ("intensity", "highpass")
"""Cheap methods that run beside every other one: who does not beat them has learned nothing."""
EXPERIMENTS = {"I": "experiment-1", "II": "experiment-2"}
METRICS = ("dice_oracle", "auprc", "auroc")
PUBLISHED_AS = dict.fromkeys(("histeq", "paper", "default"), "FLAIR histogram equalisation")
"""Our name of a method or recipe -> the paper's. A later method that the paper quotes gets its line here."""
PAPER_DATASETS = ("BraTS", "MSLUB", "WMH", "MSSEG2015")
NAN = float("nan")


@dataclass(frozen=True)
class Cell:
    """One number of one table: ours, published, difference, and what it has to beat."""

    experiment: str
    dataset: str
    method: str
    metric: str
    ours: float = NAN
    low: float = NAN
    high: float = NAN
    published: float = NAN
    difference: float = NAN
    intensity: float = NAN
    highpass: float = NAN
    beats_trivial: str = ""
    scans: str = ""
    differs: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption; `columns` are those of `Cell` that are shown in print (the CSV has all)."""

    number: int
    caption: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Truths:
    """The lesions of one scan's truth on the atlas's grid: voxels of each 26-connected component."""

    case: Case
    sizes: tuple[int, ...]


@lru_cache(maxsize=1)
def published() -> dict[tuple[str, str, str, str], float]:
    """(table, method, data set, metric) -> the published value; table 4 is "4-I" and "4-II"."""
    text = Path(__file__).with_name("published").joinpath("tables.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {(row["table"], row["method"], row["dataset"], row["metric"]): float(row["value"]) for row in rows}


def make(results: Sequence[Result], truths: Sequence[Truths], cases: Sequence[Case], atlas: str | None) -> list[Table]:
    """The four tables from everything that was run.

    Parameters
    ----------
    results
        Those of other protocols than the two experiments are not looked at.
    truths
        For table 1.
    cases
        All cases that were given, to count what was there.
    """
    notes = {dataset: _differences(dataset, cases, atlas) for dataset in dict.fromkeys(case.dataset for case in cases)}
    ours = _ours([row for result in results for row in result.rows], notes)
    fragment = _fragment(cases, results)
    i_caption = "Experiment I: slices 15 to 125 at 128 x 128"
    ii_caption = "Experiment II: slices 84 to 87 at 224 x 224"
    return [
        Table(1, f"Lesions of the truth in SRI24 space, three-dimensional components.{fragment}", _table_1(truths)),
        Table(
            2,
            f"{i_caption}, beside the methods of Baur et al. (values quoted by the paper).{fragment}",
            tuple(_select(ours, "2", "I", ("MSLUB", "MSSEG2015"), METRICS)),
        ),
        Table(
            3,
            f"{ii_caption}, beside Pinaya et al. (values quoted by the paper).{fragment}",
            tuple(_select(ours, "3", "II", ("BraTS", "MSLUB", "WMH"), ("dice_oracle",))),
        ),
        Table(
            4,
            f"{i_caption}; {ii_caption[0].lower()}{ii_caption[1:]}.{fragment}",
            (
                *_select(ours, "4-I", "I", PAPER_DATASETS, METRICS, others=True),
                *_select(ours, "4-II", "II", PAPER_DATASETS, METRICS, others=True),
            ),
        ),
    ]


def lesions_of_truths(
    cases: Sequence[Case], protocol: Protocol, maps: RecipeMaps | FileMaps, jobs: int, progress: Progress
) -> list[Truths]:
    """The lesions of every truth that can be brought to the atlas; others were named by the benchmark already."""
    found = []
    with_truth = [case for case in cases if case.truth is not None and case.flair is not None]
    count = partial(_count_lesions, protocol=protocol, maps=maps)
    for done, outcome in enumerate(engine.run(count, with_truth, jobs), 1):
        progress("counting the truths' lesions", done, len(with_truth))
        if outcome.result is not None:
            found.append(outcome.result)
    return found


def write(folder: Path, tables: Iterable[Table]) -> list[Path]:
    """Write FOLDER/{1,2,3,4}.{csv,md,tex}. Raises `OutputError`."""
    paths = []
    for table in tables:
        for suffix, text in (("csv", as_csv(table.cells)), ("md", as_markdown(table)), ("tex", as_tex(table))):
            path = folder / f"{table.number}.{suffix}"
            write_text(path, text)
            paths.append(path)
    return paths


def as_csv(cells: Sequence[Any]) -> str:
    """All columns of a list of dataclasses; undefined values are nan."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if cells:
        writer.writerow([field.name for field in fields(cells[0])])
        writer.writerows(astuple(cell) for cell in cells)
    return text.getvalue()


def as_markdown(table: Table) -> str:
    """Caption, table, and what differs from the published protocol."""
    head, lines = _printed(table)
    rows = [head, ["---"] * len(head), *lines]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    notes = "\n".join(f"- {name}: {note}" for name, note in _notes(table).items())
    tail = f"\n\nWhat differs from the published protocol:\n\n{notes}" if notes else ""
    return f"**Table {table.number}.** {table.caption}\n\n{body}{tail}\n"


def as_tex(table: Table) -> str:
    """The same for LaTeX, without any package."""
    head, lines = _printed(table)
    rows = "\n".join(" & ".join(_tex(cell) for cell in row) + r" \\" for row in lines)
    notes = " ".join(f"{name}: {note}." for name, note in _notes(table).items())
    caption = _tex(f"{table.caption} {f'Differs from the published protocol: {notes}' if notes else ''}".strip())
    columns = "l" * 4 + "r" * (len(head) - 4)
    return (
        f"\\begin{{table}}\n\\caption{{{caption}}}\n\\begin{{tabular}}{{{columns}}}\n\\hline\n"
        f"{' & '.join(map(_tex, head))} \\\\\n\\hline\n{rows}\n\\hline\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def paper_name(dataset: str) -> str:
    """What the paper calls a data set of ours; the data set's own name where the paper did not use it."""
    if dataset not in registry.names("datasets"):
        return dataset
    return getattr(registry.load("datasets", dataset), "published_as", "") or dataset


def _count_lesions(case: Case, protocol: Protocol, maps: RecipeMaps | FileMaps) -> Truths | None:
    labelled = labelled_by(maps, case, protocol)
    if protocol.needs_sri24 and not on_sri24_grid(labelled.scan.space):
        return None
    _, sizes = label_components(protocol.truth(labelled))
    return Truths(case, tuple(int(size) for size in sizes[1:]))


def _ours(rows: Sequence[Row], notes: Mapping[str, str]) -> dict[tuple[str, str], list[Cell]]:
    """(experiment, the paper's data set) -> our cells, with the controls' values beside each."""
    cells: dict[tuple[str, str], list[Cell]] = {}
    values = {(row.protocol, row.dataset, row.method, row.metric): row.value for row in rows if row.subject == COHORT}
    for experiment, protocol in EXPERIMENTS.items():
        for row in rows:
            if row.subject != COHORT or row.protocol != protocol or row.metric not in METRICS:
                continue
            beside = [values.get((protocol, row.dataset, control, row.metric), NAN) for control in CONTROLS]
            name = paper_name(row.dataset)
            cell = Cell(
                experiment,
                name,
                row.method,
                row.metric,
                row.value,
                row.low,
                row.high,
                intensity=beside[0],
                highpass=beside[1],
                beats_trivial="" if row.method in CONTROLS else _beats(row.value, beside),
                scans=_of_published(row.dataset, row.n),
                differs=notes.get(row.dataset, ""),
            )
            cells.setdefault((experiment, name), []).append(cell)
    return cells


def _select(
    ours: Mapping[tuple[str, str], Sequence[Cell]],
    table: str,
    experiment: str,
    datasets: Sequence[str],
    metrics: Sequence[str],
    others: bool = False,
) -> Iterator[Cell]:
    """The cells of a table: the paper's rows first, ours beside them, then methods that the paper has not."""
    more = [name for where, name in ours if where == experiment and name not in datasets] if others else []
    for dataset in (*datasets, *more):
        for metric in metrics:
            mine = [cell for cell in ours.get((experiment, dataset), ()) if cell.metric == metric]
            values = {
                method: value
                for (number, method, where, what), value in published().items()
                if (number, where, what) == (table, dataset, metric)
            }
            matched = {PUBLISHED_AS.get(cell.method, cell.method) for cell in mine}
            for method, value in values.items():
                if method not in matched:
                    yield Cell(experiment, dataset, method, metric, published=value)
            for cell in mine:
                value = values.get(PUBLISHED_AS.get(cell.method, cell.method), NAN)
                yield replace(cell, published=value, difference=cell.ours - value)


def _table_1(truths: Sequence[Truths]) -> tuple[Cell, ...]:
    cells = []
    names = dict.fromkeys((*PAPER_DATASETS, *(paper_name(one.case.dataset) for one in truths)))
    for name in names:
        mine = [one for one in truths if paper_name(one.case.dataset) == name]
        sizes = np.array([size for one in mine for size in one.sizes])
        values = {
            "anomalies_per_scan": sizes.size / len(mine) if mine else NAN,
            "anomaly_voxels_mean": float(sizes.mean()) if sizes.size else NAN,
        }
        for metric, value in values.items():
            value_published = published().get(("1", "-", name, metric), NAN)
            scans = _of_published(mine[0].case.dataset, len(mine)) if mine else ""
            difference = value - value_published
            cells.append(
                Cell("", name, "-", metric, value, published=value_published, difference=difference, scans=scans)
            )
    return tuple(cells)


def _beats(value: float, controls: Sequence[float]) -> str:
    known = [control for control in controls if not np.isnan(control)]
    if not known or np.isnan(value):
        return ""
    return "yes" if value > max(known) else "no"


def _of_published(dataset: str, n: int) -> str:
    n_published = _fact(dataset, "n_published", 0)
    return f"{n} of {n_published}" if n_published else str(n)


def _fragment(cases: Sequence[Case], results: Sequence[Result]) -> str:
    """What a reader must know about how much of each data set was there."""
    used: dict[str, int] = {}
    for result in results:
        for (dataset, _), counts in result.counts.items():
            used[dataset] = max(used.get(dataset, 0), counts.n_scans)
    parts = []
    for dataset in dict.fromkeys(case.dataset for case in cases):
        n_published = _fact(dataset, "n_published", 0)
        if n_published and used.get(dataset, 0) < n_published:
            parts.append(f"{used.get(dataset, 0)} of the {n_published} published scans of {paper_name(dataset)}")
        elif not n_published:
            parts.append(f"{used.get(dataset, 0)} scans of {dataset}, which the paper did not use")
    return f" A fragment: {', '.join(parts)}." if parts else ""


def _differences(dataset: str, cases: Sequence[Case], atlas: str | None) -> str:
    """What of our run differs from the published protocol, in words."""
    mine = [case for case in cases if case.dataset == dataset]
    release = _fact(dataset, "subjects", ())
    there = {f"{case.subject}_{case.session}" if case.session else case.subject for case in mine}
    parts = []
    n_published = _fact(dataset, "n_published", 0)
    if n_published:
        parts.append(f"{len(there & set(release))} of {n_published} published scans")
        note = _fact(dataset, "scans_note", "")
        parts += [note] if note else []
    strangers = there - set(release) if release else set()
    parts += [f"{len(strangers)} scans of another release"] if strangers else []
    parts += ["brain masks as distributed, not ROBEX"] if any(case.brain for case in mine) else []
    if atlas:
        parts.append("registration (where a scan is not on the atlas's grid) by greedy, not dipy")
        parts += [] if any(case.brain for case in mine) else [f"brains by {default_extractor()} where there is a skull"]
    parts.append("exact ranks of the intensities as stored, not of truncated integers")
    return "; ".join(parts)


def _fact(dataset: str, what: str, otherwise: Any) -> Any:
    known = dataset in registry.names("datasets")
    return getattr(registry.load("datasets", dataset), what, otherwise) if known else otherwise


def _notes(table: Table) -> dict[str, str]:
    return {cell.dataset: cell.differs for cell in table.cells if cell.differs}


def _printed(table: Table) -> tuple[list[str], list[list[str]]]:
    head = ["experiment", "data set", "method", "metric", "ours", "95 % interval", "published", "difference"]
    if table.number == 1:
        head.append("scans")
        return head, [[*_values(cell, 1), cell.scans] for cell in table.cells]
    head += ["intensity", "highpass", "beats the trivial baseline?", "scans"]
    return head, [
        [*_values(cell, 3), _number(cell.intensity), _number(cell.highpass), cell.beats_trivial, cell.scans]
        for cell in table.cells
    ]


def _values(cell: Cell, digits: int) -> list[str]:
    interval = "" if np.isnan(cell.low) else f"{_number(cell.low, digits)} to {_number(cell.high, digits)}"
    ours, difference = _number(cell.ours, digits), _number(cell.difference, digits, sign=True)
    names = [cell.experiment, cell.dataset, cell.method, cell.metric]
    return [*names, ours, interval, _number(cell.published, digits), difference]


def _number(value: float, digits: int = 3, sign: bool = False) -> str:
    return "" if np.isnan(value) else f"{value:{'+' if sign else ''}.{digits}f}"


def _tex(text: str) -> str:
    for character in "&%_#$":
        text = text.replace(character, f"\\{character}")
    return text
