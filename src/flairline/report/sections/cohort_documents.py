"""The tables that a benchmark wrote: the paper's with ours beside them, reconstruction against Dice, and what the Dice is made of."""

from __future__ import annotations

from flairline.report.pages import CohortPage, Page, Section
from flairline.report.templates import render_text

TEMPLATE = """
{% for document in documents %}<h3>{{ document.title }}</h3>
<div class="scroll tall" tabindex="0" role="region" aria-label="{{ document.title }}"><table>
<thead><tr>{% for column in document.columns %}<th scope="col">{{ column }}</th>{% endfor %}</tr></thead>
<tbody>{% for line in document.lines %}<tr>{% for cell in line %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% for note in document.notes %}<p class="muted">{{ note }}</p>{% endfor %}
{% endfor %}
"""

TITLES = {
    "tables": "The paper's tables",
    "reconstruction": "Reconstruction against Dice",
    "breakdown": "Figures by further columns",
    "ablation": "What the Dice is made of",
    "group": "The group",
}


def render(page: Page) -> Section | None:
    """Every table; None where the benchmark wrote none."""
    if not isinstance(page, CohortPage) or not page.documents:
        return None
    kinds = {document.kind for document in page.documents}
    title = ", and ".join(TITLES[kind] for kind in TITLES if kind in kinds)
    return Section(50, "documents", title, render_text(TEMPLATE, documents=page.documents))
