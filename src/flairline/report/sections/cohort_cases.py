"""The best and the worst cases of each method, with their pictures."""

from __future__ import annotations

from typing import Any

from flairline.report.pages import CohortPage, CohortScan, Page, Section
from flairline.report.templates import data_uri, render_text

EACH = 4
TEMPLATE = """
<p class="muted">By the scan's Dice at the oracle threshold. R is the patient's right, on the picture's left; where
it is missing, no side is known. Outlines: <span class="legend dots"><i class="found"></i> found <i class="missed"></i> missed <i class="false"></i> false</span></p>
{% for group in groups %}<h3>{{ group.name }}</h3>
<div class="sides">{% for words, scans in group.parts %}<div><h4>{{ words }}</h4><ul class="cards">{% for scan in scans %}<li>
{% if scan.thumbnail %}<img src="{{ scan.thumbnail }}" alt="" loading="lazy">{% endif %}
<span>{% if scan.href %}<a href="{{ scan.href }}">{{ scan.subject }}</a>{% else %}{{ scan.subject }}{% endif %}
<b>{{ scan.dice | number }}</b></span></li>{% endfor %}</ul></div>{% endfor %}</div>{% endfor %}
"""


def render(page: Page) -> Section | None:
    """None where no scan has a Dice."""
    if not isinstance(page, CohortPage):
        return None
    groups: dict[str, list[tuple[float, CohortScan]]] = {}
    for scan in page.scans:
        dice = scan.metrics.get("dice_at_oracle", float("nan"))
        if dice == dice:
            name = ", ".join(filter(None, (scan.method, scan.summary.dataset or "")))
            groups.setdefault(name, []).append((dice, scan))
    if not groups:
        return None
    return Section(
        60, "cases", "Best and worst cases", render_text(TEMPLATE, groups=[_group(*g) for g in groups.items()])
    )


def _group(name: str, scans: list[tuple[float, CohortScan]]) -> dict[str, Any]:
    ordered = sorted(scans, key=lambda entry: -entry[0])
    each = min(EACH, (len(ordered) + 1) // 2)
    parts = [("Best", ordered[:each])]
    worst = ordered[each:][-each:][::-1]
    if worst:
        parts.append(("Worst", worst))
    return {"name": name, "parts": [(words, [_card(*entry) for entry in part]) for words, part in parts]}


def _card(dice: float, scan: CohortScan) -> dict[str, Any]:
    return {
        "subject": scan.subject,
        "href": scan.href,
        "dice": dice,
        "thumbnail": data_uri(scan.thumbnail, "image/webp") if scan.thumbnail else "",
    }
