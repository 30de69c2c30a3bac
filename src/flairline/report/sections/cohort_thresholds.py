"""Oracle against usable threshold, side by side: what labels would buy and what a user gets."""

from __future__ import annotations

from typing import Any

from flairline.report.pages import CohortPage, Page, Section
from flairline.report.templates import render_text

TEMPLATE = """
<div class="scroll" tabindex="0" role="region" aria-label="Table of thresholds"><table>
<caption>Oracle: chosen on the labels that it is then judged by; nobody has it without labels. Usable: the recipe's own
rule, without labels.</caption>
<thead><tr><th scope="col">Data set</th><th scope="col">Method</th><th scope="col">Protocol</th>
<th scope="col" class="n">Oracle threshold</th><th scope="col" class="n">Cohort's Dice there</th>
<th scope="col" class="n">Mean Dice of scans, oracle</th><th scope="col" class="n">Mean Dice of scans, usable</th></tr></thead>
<tbody>{% for row in rows %}<tr><td>{{ row.dataset }}</td><td>{{ row.method }}</td><td>{{ row.protocol }}</td>
<td class="n">{{ row.threshold_oracle | number(4) }}</td><td class="n">{{ row.dice_oracle | number }}</td>
<td class="n">{{ row.dice_at_oracle | number }}</td><td class="n">{{ row.dice | number }}</td></tr>{% endfor %}</tbody>
</table></div>
"""
METRICS = ("threshold_oracle", "dice_oracle", "dice_at_oracle", "dice")


def render(page: Page) -> Section | None:
    """From the cohort's rows; None where there are none."""
    if not isinstance(page, CohortPage):
        return None
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in page.rows:
        if row["subject"] == "cohort" and row["metric"] in METRICS:
            key = (row["dataset"], row["method"], row["protocol"])
            start = dict(zip(("dataset", "method", "protocol"), key, strict=True)) | dict.fromkeys(METRICS)
            found.setdefault(key, start)[row["metric"]] = row["value"]
    if not found:
        return None
    return Section(25, "thresholds", "Oracle and usable threshold", render_text(TEMPLATE, rows=list(found.values())))
