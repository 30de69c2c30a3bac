"""Where a result comes from: inputs with their hashes, versions, parameters, seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flairline.report.pages import Page, ScanPage, Section
from flairline.report.templates import number, render_text

SHOWN = (
    "inputs",
    "versions",
    "parameters",
    "preprocessing",
    "registration",
    "threshold",
    "corrected",
    "seconds",
    "created",
    "command",
)
TEMPLATE = """
<div class="scroll" tabindex="0" role="region" aria-label="Table of provenance"><table>
<thead><tr><th scope="col">What</th><th scope="col">Value</th></tr></thead>
<tbody>{% for name, value in rows %}<tr><td class="path">{{ name }}</td><td class="path"><code>{{ value }}</code></td></tr>
{% endfor %}</tbody></table></div>
"""


def render(page: Page) -> Section | None:
    """Everything of the summary (or a manifest) that says how it was made."""
    source = page.summary.to_json() if isinstance(page, ScanPage) else page.manifest
    rows: list[tuple[str, str]] = []
    for key in SHOWN:
        if key in source:
            rows += _flat(key, source[key])
    if not rows:
        return None
    return Section(90, "provenance", "Provenance", render_text(TEMPLATE, rows=rows))


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    """Nested values as rows with dotted names."""
    if isinstance(value, Mapping):
        return [row for key, inner in value.items() for row in _flat(f"{name}.{key}", inner)]
    if isinstance(value, (list, tuple)) and any(isinstance(inner, (Mapping, list, tuple)) for inner in value):
        return [row for i, inner in enumerate(value, 1) for row in _flat(f"{name}.{i}", inner)]
    if isinstance(value, (list, tuple)):
        return [(name, ", ".join(map(str, value)))]
    return [(name, number(value, 4) if isinstance(value, float) else str(value))]
