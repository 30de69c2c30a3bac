"""The paper's tables with its published values, and beside them what was measured here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flairline.report.pages import CohortPage, Page, Section
from flairline.report.templates import render_text

TITLES = {
    "1": "Table 1: size of the anomalies, as published",
    "2": "Table 2: experiment I against published methods",
    "3": "Table 3: experiment II against the transformer",
    "4-I": "Table 4, experiment I",
    "4-II": "Table 4, experiment II",
}
PROTOCOLS = {"2": "experiment-1", "3": "experiment-2", "4-I": "experiment-1", "4-II": "experiment-2"}
TEMPLATE = """
<p class="muted">Published values are Meissen et al. 2021's, on their scans; “here” is measured by the protocol {{ protocol }}
on the scans of this cohort, which need not be the same. Dice: at the oracle threshold.</p>
{% for table in tables %}<h3>{{ table.title }}</h3>
<div class="scroll" tabindex="0" role="region" aria-label="{{ table.title }}"><table>
<thead><tr><th scope="col">Method</th>{% for column in table.columns %}<th scope="col" class="n">{{ column }}</th>{% endfor %}
</tr></thead>
<tbody>{% for line in table.lines %}<tr{% if line.here %} class="here"{% endif %}><td>{{ line.name }}</td>
{% for value in line.cells %}<td class="n">{{ value | number(3) }}</td>{% endfor %}</tr>{% endfor %}</tbody></table></div>
{% endfor %}
"""
WORDS = {
    "dice_oracle": "Dice",
    "auprc": "AUPRC",
    "auroc": "AUROC",
    "anomalies_per_scan": "per scan",
    "anomaly_voxels_mean": "mean voxels",
}


def render(page: Page) -> Section | None:
    """Tables whose protocol was run; None where none was."""
    if not isinstance(page, CohortPage) or not page.published:
        return None
    if any(document.kind == "tables" for document in page.documents):
        return None  # the benchmark's own tables say more
    protocols = {row["protocol"] for row in page.rows}
    shown = [table for table, protocol in PROTOCOLS.items() if protocol in protocols]
    if not shown:
        return None
    tables = [_table(page, name) for name in ["1", *shown]]
    run = " and ".join(sorted({PROTOCOLS[name] for name in shown}))
    return Section(50, "published", "The paper's tables", render_text(TEMPLATE, tables=tables, protocol=run))


def _table(page: CohortPage, name: str) -> dict[str, Any]:
    rows = [row for row in page.published if row["table"] == name]
    columns = list(dict.fromkeys((row["dataset"], row["metric"]) for row in rows))
    lines: dict[str, dict[tuple[str, str], float]] = {}
    for row in rows:
        lines.setdefault(row["method"], {})[row["dataset"], row["metric"]] = float(row["value"])
    ours: dict[str, dict[tuple[str, str], Any]] = {}
    for row in page.rows:
        if row["subject"] == "cohort" and row["protocol"] == PROTOCOLS.get(name):
            column = next((c for c in columns if same_dataset(c[0], row["dataset"]) and c[1] == row["metric"]), None)
            if column:
                ours.setdefault(f"{row['method']}, here", {})[column] = row["value"]
    return {
        "title": TITLES.get(name, name),
        "columns": [f"{dataset} {WORDS.get(metric, metric)}" for dataset, metric in columns],
        "lines": [_line(key, cells, columns, False) for key, cells in lines.items()]
        + [_line(key, cells, columns, True) for key, cells in ours.items()],
    }


def same_dataset(published: str, judged: str) -> bool:
    """Whether a data set of a table of cases is one of the paper's: brats2015 is BraTS, wmh2017 is WMH."""
    return judged.lower().rstrip("0123456789").startswith(published.lower().rstrip("0123456789"))


def _line(name: str, cells: Mapping[Any, Any], columns: list[Any], ours: bool) -> dict[str, Any]:
    return {"name": name, "cells": [cells.get(column) for column in columns], "here": ours}
