"""Every scan of a cohort in one table: sortable, filterable, with thumbnails and verdicts.

What needs a look comes first: what failed, what is flagged, what stands apart from the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from flairline.report.outliers import METRICS, outliers_of
from flairline.report.pages import MOST_PICTURES, CohortPage, CohortScan, Page, Section
from flairline.report.sections.verdict import VERDICTS
from flairline.report.templates import data_uri, number, render_text

SHOWN_AT_ONCE = 150
"""Rows that are laid out at first: a thousand take a browser seconds. The filter looks through all of them."""
MOST_ROWS = 2000
"""A larger table is a list that the page's script makes rows of, as many as are looked at: 40,000 rows of HTML are 39 MB."""
TEMPLATE = """
<div class="tools screen">
  <label for="filter-text">Find</label><input id="filter-text" type="search" placeholder="subject, site, flag, outlier, note">
  <label><input type="checkbox" id="filter-flagged"> flagged only</label>
  <label for="filter-verdict">Verdict</label>
  <select id="filter-verdict"><option value="any">any</option><option value="">none yet</option>
  {% for value, words in verdicts %}<option value="{{ value }}">{{ words }}</option>{% endfor %}</select>
  <span id="filter-count" role="status"></span><span id="verdict-count" class="muted"></span>
  <button type="button" data-save>Save verdicts as JSON</button><span class="muted" data-status role="status"></span>
</div>
<p class="muted screen">A click on a heading sorts. With a row in focus: <kbd>J</kbd> <kbd>K</kbd> next and previous row,
<kbd>Enter</kbd> opens it, <kbd>Shift</kbd> with <kbd>P</kbd>, <kbd>F</kbd>, <kbd>A</kbd> gives the verdict, <kbd>N</kbd>
the note.{% if not pictureless %} On the thumbnails R is the patient's right, on the picture's left; where it is missing, no side is known.{% endif %}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Table of scans"><table id="cohort-table">
<thead><tr>{% if not listed %}<th scope="col">Slice</th>{% endif %}
{% for name, numeric in columns %}<th scope="col"{% if numeric %} class="n"{% endif %}><button type="button"
  class="sort">{{ name }}</button></th>{% endfor %}
<th scope="col">Verdict and note</th></tr></thead>
<tbody>
{% if listed %}</tbody></table></div>
<template id="cohort-row"><tr tabindex="0"><td class="say"><span class="choices">{% for value, words in verdicts %}<button
 type="button" data-verdict="{{ value }}" aria-pressed="false" title="{{ words }} (Shift+{{ words[0] }})">{{ words }}</button>
{%- endfor %}</span><input data-note-field maxlength="500" placeholder="note"></td></tr></template>
<script type="application/json" id="cohort-rows">{{ listed }}</script>
<noscript><p>The rows of so large a table are made by the page's script.</p></noscript>
{% else %}
{% for row in rows %}
<tr tabindex="0"{% if loop.index > at_once %} hidden{% endif %} data-scan="{{ row.scan_id }}" data-subject="{{ row.key }}" data-text="{{ row.text }}"
 data-flagged="{{ '1' if row.flags else '0' }}"{% if row.at %} data-given="{{ row.verdict }}" data-note="{{ row.note }}"
 data-at="{{ row.at }}"{% endif %}{% if row.flags %} class="flagged"{% endif %}>
<td>{% if row.thumbnail %}<img src="{{ row.thumbnail }}" alt="" loading="lazy" decoding="async">{% endif %}</td>
{% for cell in row.cells %}<td{% if cell.numeric %} class="n"{% endif %}{% if cell.value is not none %}
 data-v="{{ cell.value }}"{% endif %}>{% if cell.href %}<a href="{{ cell.href }}">{{ cell.text }}</a>{% else %}
{{- cell.text }}{% endif %}</td>{% endfor %}
<td class="say"><span class="choices">{% for value, words in verdicts %}<button type="button" data-verdict="{{ value }}"
 aria-pressed="false" aria-label="{{ words }}: {{ row.subject }}" title="{{ words }} (Shift+{{ words[0] }})">{{ words }}</button>
{%- endfor %}</span><input data-note-field maxlength="500" aria-label="Note on {{ row.subject }}" placeholder="note"></td>
</tr>
{% endfor %}
</tbody></table></div>
{% endif %}
{% if pictureless %}<p class="muted">No pictures: those of more than {{ pictureless | number }} scans would make this page too large for a
browser. Each scan's own page has them.</p>{% endif %}
<p class="screen"><button type="button" id="show-all" data-at-once="{{ at_once }}" hidden>Show all</button></p>
"""


def render(page: Page) -> Section | None:
    """One row a scan; columns that no scan fills are left out."""
    if not isinstance(page, CohortPage) or not page.scans:
        return None
    apart: dict[int, list[str]] = {}
    for scan, figure in outliers_of(page.scans):
        apart.setdefault(id(scan), []).append(figure)

    def first(scan: CohortScan) -> tuple[bool, int, int, str]:
        return not scan.error, -len(scan.flags), -len(apart.get(id(scan), ())), scan.subject

    pictures = len(page.scans) <= MOST_PICTURES
    rows = [_row(scan, apart.get(id(scan), []), pictures) for scan in sorted(page.scans, key=first)]
    used = [i for i in range(len(rows[0]["cells"])) if any(row["cells"][i]["text"] not in ("", "–") for row in rows)]
    columns = [(rows[0]["cells"][i]["name"], rows[0]["cells"][i]["numeric"]) for i in used]
    for row in rows:
        row["cells"] = [row["cells"][i] for i in used]
    html = render_text(
        TEMPLATE,
        rows=[] if len(rows) > MOST_ROWS else rows,
        listed=_listed(rows, columns) if len(rows) > MOST_ROWS else "",
        columns=columns,
        verdicts=VERDICTS,
        at_once=SHOWN_AT_ONCE,
        pictureless=MOST_PICTURES if len(rows) > MOST_PICTURES else 0,
    )
    return Section(10, "scans", "Scans", html)


def _listed(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, bool]]) -> Markup:
    """The rows as JSON: identity, words to be found by, whether flagged, cells (text, and number or address), verdict."""
    names = [name for name, _ in columns]
    content = [
        [
            row["scan_id"],
            row["key"],
            row["text"],
            1 if row["flags"] else 0,
            [[cell["text"], cell["value"] if cell["numeric"] else cell["href"] or ""] for cell in row["cells"]],
            *([row["verdict"], row["note"], row["at"]] if row["at"] else []),
        ]
        for row in rows
    ]
    text = json.dumps({"columns": names, "rows": content}, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _row(scan: CohortScan, outlying_in: list[str], pictures: bool) -> dict[str, Any]:
    summary = scan.summary
    cells = [
        _cell("Subject", scan.subject, href=scan.href),
        _cell("Data set", summary.dataset or ""),
        _cell("Method", scan.method),
        _cell("Site", scan.site),
        _cell("Flags", "; ".join(scan.flags)),
        _cell("Outlier in", "; ".join(outlying_in)),
        _cell("Corrected", "by a person" if summary.corrected is not None else ""),
        _numeric("Volume (ml)", summary.lesion_volume_ml),
        _numeric("Regions", summary.n_lesions),
        _numeric("Threshold", summary.threshold.value if summary.threshold is not None else None, 4),
        _numeric("Brain (ml)", summary.brain_volume_ml, 4),
        _numeric("Truth (ml)", summary.truth_ml),
        *(_numeric(words, scan.metrics.get(name)) for name, words in METRICS.items()),
    ]
    return {
        "subject": scan.subject,
        "key": scan.key,
        "scan_id": scan.scan_id,
        "thumbnail": data_uri(scan.thumbnail, "image/webp") if scan.thumbnail and pictures else "",
        "flags": scan.flags,
        "cells": cells,
        "text": " ".join(
            [
                scan.subject,
                scan.site,
                *scan.flags,
                *(["outlier", *outlying_in] if outlying_in else []),
                *(["corrected"] if summary.corrected is not None else []),
                scan.note,
                summary.dataset or "",
            ]
        ).lower(),
        "verdict": scan.verdict,
        "note": scan.note,
        "at": scan.at,
    }


def _cell(name: str, text: str, href: str | None = None) -> dict[str, Any]:
    return {"name": name, "text": text, "href": href, "numeric": False, "value": None}


def _numeric(name: str, value: Any, digits: int = 3) -> dict[str, Any]:
    known = value is not None and value == value
    return {
        "name": name,
        "text": number(value, digits) if known else "–",
        "href": None,
        "numeric": True,
        "value": f"{float(value):.6g}" if known else "",
    }
