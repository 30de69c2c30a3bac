"""The table of what became of each lesion between two visits."""

from __future__ import annotations

from typing import Any

from flairline.imaging.changes import STABLE
from flairline.report.comparison import LesionChange
from flairline.report.pages import ComparisonPage, Page, Section
from flairline.report.templates import number, render_text

MAX_ROWS = 300
TEMPLATE = """
{% if rows %}
<div class="scroll tall" tabindex="0" role="region" aria-label="Table of lesions"><table id="change-table">
<thead><tr><th scope="col">Lesion</th><th scope="col">What became of it</th><th scope="col" class="n">Earlier (ml)</th>
<th scope="col" class="n">Later (ml)</th><th scope="col" class="n">Change (ml)</th>
<th scope="col" class="n">Smallest to believe (ml)</th><th scope="col">Side</th>
{% if has_region %}<th scope="col">Lies in</th>{% endif %}
<th scope="col" class="n">Centre R, A, S (mm)</th><th scope="col" class="n">Number earlier, later</th></tr></thead>
<tbody>{% for row in rows %}<tr><td>{{ row.id }}</td><td>{{ row.kind }}{{ row.but }}</td><td class="n">{{ row.earlier | number }}</td>
<td class="n">{{ row.later | number }}</td><td class="n">{{ row.change }}</td><td class="n">{{ row.smallest | number(2) }}</td>
<td>{{ row.side }}</td>{% if has_region %}<td>{{ row.region }}</td>{% endif %}<td class="n">{{ row.centre }}</td>
<td class="n">{{ row.numbers }}</td></tr>
{% endfor %}</tbody></table></div>
{% if more %}<p class="muted">{{ rows | length }} of {{ more }}; all are in lesions.tsv.</p>{% endif %}
<p class="muted">The centre lies half-way between the visits; comparison.json has it in each visit's own coordinates as well.
Numbers are those of the visits' own tables: several where a lesion fell apart, or lesions grew together.</p>
{% else %}<p>Nothing is marked at either visit.</p>{% endif %}
"""


def render(page: Page) -> Section | None:
    """One row a lesion, kind by kind, the largest changes first."""
    if not isinstance(page, ComparisonPage):
        return None
    lesions = page.comparison.lesions
    rows = [_row(lesion) for lesion in lesions[:MAX_ROWS]]
    html = render_text(
        TEMPLATE,
        rows=rows,
        more=len(lesions) if len(lesions) > MAX_ROWS else 0,
        has_region=any(row["region"] for row in rows),
    )
    return Section(20, "lesions", "Lesions", html)


def _row(lesion: LesionChange) -> dict[str, Any]:
    change = lesion.change_ml
    lacking = lesion.kind == STABLE and not (lesion.earlier_lesions and lesion.later_lesions)
    return {
        "id": lesion.id,
        "kind": lesion.kind,
        "but": " (too small to tell)" if lacking else "",
        "earlier": lesion.earlier_ml,
        "later": lesion.later_ml,
        "change": f"{'+' if change > 0 else '−' if change < 0 else ''}{number(abs(change))}",
        "smallest": lesion.smallest_change_ml,
        "side": lesion.side,
        "region": lesion.region,
        "centre": ", ".join(f"{value:.1f}" for value in lesion.centre_mm),
        "numbers": ", ".join("+".join(map(str, own)) or "–" for own in (lesion.earlier_lesions, lesion.later_lesions)),
    }
