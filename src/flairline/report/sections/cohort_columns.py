"""A cohort by every further column (site, age, sex, scanner): how many scans, how many flagged, volumes, Dice."""

from __future__ import annotations

import statistics
from typing import Any

from flairline.evaluation.breakdown import Split, split
from flairline.report.pages import CohortPage, CohortScan, Page, Section
from flairline.report.templates import render_text

SITE = "site"
TEMPLATE = """
{% for table in tables %}<h3>By {{ table.column }}</h3>
<div class="scroll" tabindex="0" role="region" aria-label="Table by {{ table.column }}"><table>
<thead><tr><th scope="col">{{ table.column | capitalize }}</th><th scope="col" class="n">Scans</th><th scope="col" class="n">Flagged</th>
<th scope="col" class="n">Median volume (ml)</th>{% if judged %}<th scope="col" class="n">Median Dice, usable</th>
<th scope="col" class="n">Median Dice, oracle</th>{% endif %}</tr></thead>
<tbody>{% for row in table.rows %}<tr><td>{{ row.value }}</td><td class="n">{{ row.n }}</td><td class="n">{{ row.flagged }}</td>
<td class="n">{{ row.volume | number }}</td>{% if judged %}<td class="n">{{ row.dice | number }}</td>
<td class="n">{{ row.dice_at_oracle | number }}</td>{% endif %}</tr>{% endfor %}</tbody></table></div>
{% if table.bins %}<p class="muted">{{ table.bins | capitalize }}.</p>{% endif %}
{% endfor %}
{% if left_out %}<p class="muted">Columns that are left out: {% for parted in left_out %}{{ parted.column }}, {{ parted.left_out }}{{ '; ' if not loop.last else '.' }}
{% endfor %}</p>{% endif %}
"""


def render(page: Page) -> Section | None:
    """None where no column tells scans apart."""
    if not isinstance(page, CohortPage):
        return None
    known = [{**({SITE: scan.site} if scan.site else {}), **scan.columns} for scan in page.scans]
    splits = [
        split(name, [own.get(name, "") for own in known])
        for name in dict.fromkeys(name for own in known for name in own)
    ]
    tables = [_table(parted, page) for parted in splits if parted.groups]
    left_out = [parted for parted in splits if not parted.groups]
    if not tables and not left_out:
        return None
    judged = any(scan.metrics for scan in page.scans)
    names = [table["column"] for table in tables]
    title = "By " + (" and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "further columns")
    return Section(40, "columns", title, render_text(TEMPLATE, tables=tables, left_out=left_out, judged=judged))


def _table(parted: Split, page: CohortPage) -> dict[str, Any]:
    rows = [_row(value, [page.scans[place] for place in places]) for value, places in parted.groups.items()]
    return {"column": parted.column, "rows": rows, "bins": parted.bins}


def _row(value: str, scans: list[CohortScan]) -> dict[str, Any]:
    return {
        "value": value,
        "n": len(scans),
        "flagged": sum(bool(scan.flags) for scan in scans),
        "volume": _median([scan.summary.lesion_volume_ml for scan in scans]),
        "dice": _median([scan.metrics.get("dice") for scan in scans]),
        "dice_at_oracle": _median([scan.metrics.get("dice_at_oracle") for scan in scans]),
    }


def _median(values: list[Any]) -> float | None:
    known = [float(value) for value in values if value is not None and value == value]
    return statistics.median(known) if known else None
