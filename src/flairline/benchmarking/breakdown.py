"""A benchmark's figures by a further column of its cases: age, sex, site, scanner.

A group is judged as a cohort of its own: figures of pooled voxels (the oracle Dice, areas under curves) come from its
scans' counts, means from its scans' rows. What a scan has at the oracle threshold is at that of the whole cohort.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flairline.benchmarking.judge import Result, count_cohort
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.rows import COHORT, Measured, row_subject, rows_of_cohort
from flairline.benchmarking.store import StoredScore
from flairline.cases.columns import columns_of
from flairline.errors import InputError
from flairline.evaluation.breakdown import Split, split
from flairline.io.files import remove_file, write_text
from flairline.io.tables import csv_of, markdown_text

SHOWN = {
    "dice_oracle": "Oracle Dice",
    "auprc": "AUPRC",
    "auroc": "AUROC",
    "dice_at_oracle": "Mean Dice, oracle",
    "dice": "Mean Dice, usable",
    "lesion_recall": "Lesion recall, usable",
    "false_positive_ml": "False (ml), usable",
}
"""Metrics that people see; the CSV has all."""


@dataclass(frozen=True)
class BreakdownRow:
    """One number of one group; `n` is the number of scans that it describes, `low` and `high` its 95 % interval."""

    dataset: str
    method: str
    protocol: str
    column: str
    group: str
    scans: int
    metric: str
    value: float
    n: int
    low: float
    high: float


def splits(plan: Plan) -> list[Split]:
    """The cases by each column of `Plan.by`.

    Raises
    ------
    InputError
        No case has such a column, or it makes no groups.
    """
    told = [columns_of(case) for case in plan.cases]
    known = list(dict.fromkeys(name for own in told for name in own))
    found = []
    for column in dict.fromkeys(plan.by):
        if column not in known:
            listed = ", ".join(known) or "none"
            msg = f"Wanted --by one of the cases' further columns ({listed}), found none called {column!r}. Name one."
            raise InputError(msg)
        parted = split(column, [own.get(column, "") for own in told])
        if not parted.groups:
            msg = f"Wanted a column that makes groups, but {column!r} does not: {parted.left_out}. Name another."
            raise InputError(msg)
        found.append(parted)
    return found


def rows_of(plan: Plan, results: Sequence[Result], parted: Split) -> Iterator[BreakdownRow]:
    """All figures of all groups; the stored scores must be there still."""
    group_of = {plan.cases[place].key: label for label, places in parted.groups.items() for place in places}
    for result in results:
        for scans in result.stored.values():
            for label in parted.groups:
                own = [scan for scan in scans if group_of[scan.case.key] == label]
                if own:
                    yield from _rows_of_group(plan, result, parted.column, label, own)


def _rows_of_group(
    plan: Plan, result: Result, column: str, label: str, scans: Sequence[StoredScore]
) -> Iterator[BreakdownRow]:
    values: dict[str, dict[str, float]] = {}
    dataset, method = scans[0].case.dataset, result.method
    for row in result.rows:
        if row.dataset == dataset and row.subject != COHORT:
            values.setdefault(row.subject, {})[row.metric] = row.value
    measured = [Measured(scan.case, values.get(row_subject(scan.case.label), {})) for scan in scans]
    counts = count_cohort(scans, result.protocol, plan.seed)
    about = dataset, method, result.protocol.name, column, label, len(scans)
    for row in rows_of_cohort(dataset, method, result.protocol, counts, measured, plan.seed):
        if row.subject == COHORT:
            yield BreakdownRow(*about, row.metric, row.value, row.n, row.low, row.high)


def write(folder: Path, plan: Plan, results: Sequence[Result], parted: Split) -> Path:
    """Write FOLDER/by_COLUMN.csv and .md; the path of the latter. Raises `OutputError`."""
    rows = list(rows_of(plan, results, parted))
    safe = re.sub(r"[^A-Za-z0-9-]+", "_", parted.column).strip("_") or "column"
    path = folder / f"by_{safe}.md"
    write_text(path.with_suffix(".csv"), csv_of(BreakdownRow, rows))
    notes = [
        "A group is judged as a cohort of its own, its oracle threshold chosen on its own labels; means are at the"
        " whole cohort's oracle threshold, or at the recipe's own (usable).",
        *([f"{parted.column}: {parted.bins}."] if parted.bins else []),
    ]
    table = markdown_text(*printed(rows))
    write_text(path, f"**By {parted.column}**\n\n{table}\n\n" + "\n".join(f"- {note}" for note in notes) + "\n")
    return path


def remove(folder: Path) -> None:
    """Delete what an earlier run wrote. Raises `OutputError`."""
    for path in folder.glob("by_*"):
        remove_file(path)


def printed(rows: Sequence[BreakdownRow]) -> tuple[list[str], list[list[str]]]:
    """Columns and cells for people: one line a group, metrics that some group has."""
    lines: dict[tuple[str, str, str, str, int], dict[str, BreakdownRow]] = {}
    for row in rows:
        key = row.group, row.dataset, row.method, row.protocol, row.scans
        lines.setdefault(key, {})[row.metric] = row
    shown = [name for name in SHOWN if any(not math.isnan(own[name].value) for own in lines.values() if name in own)]
    columns = ["Group", "Data set", "Method", "Protocol", "Scans", *(SHOWN[name] for name in shown)]
    return columns, [[*map(str, key), *(_cell(own, name) for name in shown)] for key, own in lines.items()]


def _cell(own: Mapping[str, BreakdownRow], name: str) -> str:
    row = own.get(name)
    if row is None or math.isnan(row.value):
        return ""
    interval = "" if math.isnan(row.low) else f" ({row.low:.3f} to {row.high:.3f})"
    return f"{row.value:.3f}{interval}"
