"""A cohort by site: how many scans, how many flagged, volumes, Dice."""

from __future__ import annotations

import statistics
from typing import Any

from flairline.report.pages import CohortPage, CohortScan, Page, Section
from flairline.report.templates import render_text

TEMPLATE = """
<div class="scroll" tabindex="0" role="region" aria-label="Table of sites"><table>
<thead><tr><th scope="col">Site</th><th scope="col" class="n">Scans</th><th scope="col" class="n">Flagged</th>
<th scope="col" class="n">Median volume (ml)</th><th scope="col" class="n">Median Dice, usable</th>
<th scope="col" class="n">Median Dice, oracle</th></tr></thead>
<tbody>{% for row in rows %}<tr><td>{{ row.site }}</td><td class="n">{{ row.n }}</td><td class="n">{{ row.flagged }}</td>
<td class="n">{{ row.volume | number }}</td><td class="n">{{ row.dice | number }}</td>
<td class="n">{{ row.dice_at_oracle | number }}</td></tr>{% endfor %}</tbody></table></div>
"""


def render(page: Page) -> Section | None:
    """None where fewer than two sites are named."""
    if not isinstance(page, CohortPage) or len({scan.site for scan in page.scans}) < 2:
        return None
    sites: dict[str, list[CohortScan]] = {}
    for scan in page.scans:
        sites.setdefault(scan.site or "not given", []).append(scan)
    rows = [_row(site, scans) for site, scans in sorted(sites.items())]
    return Section(40, "sites", "By site", render_text(TEMPLATE, rows=rows))


def _row(site: str, scans: list[CohortScan]) -> dict[str, Any]:
    return {
        "site": site,
        "n": len(scans),
        "flagged": sum(bool(scan.flags) for scan in scans),
        "volume": _median([scan.summary.lesion_volume_ml for scan in scans]),
        "dice": _median([scan.metrics.get("dice") for scan in scans]),
        "dice_at_oracle": _median([scan.metrics.get("dice_at_oracle") for scan in scans]),
    }


def _median(values: list[Any]) -> float | None:
    known = [float(value) for value in values if value is not None and value == value]
    return statistics.median(known) if known else None
