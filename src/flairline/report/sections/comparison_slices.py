"""Two visits side by side: the same axial slices of both, with what became of each lesion as contours."""

from __future__ import annotations

from typing import Any

import numpy as np

from flairline.drawing.mosaic import Tile, pick_slices, tiles_at
from flairline.drawing.palette import MARKS, STABLE
from flairline.report.pages import ComparisonPage, Page, Section, convention
from flairline.report.templates import data_uri, render_text
from flairline.types import Mask

MOST_PAIRS = 14
TEMPLATE = """
<div class="tools">
  <ul class="legend">{% for kind in legend %}
    <li><svg viewBox="0 0 44 14" aria-hidden="true"><path class="contour {{ kind }}" d="M3 7H41"/></svg>{{ kind }}</li>{% endfor %}
  </ul>
  <button type="button" data-toggle="no-contours" data-target="pairs-grid" aria-pressed="true">Contours</button>
</div>
<p class="muted">Left: {{ earlier }}. Right: {{ later }}. Both lie half-way between the visits, at the same height. {{ convention }}
{{ words }}</p>
<ol class="pairs" id="pairs-grid">
{% for pair in pairs %}
  <li>{% for tile in pair %}
    <svg viewBox="0 0 {{ '%.2f' | format(tile.box[0]) }} {{ '%.2f' | format(tile.box[1] + 12) }}" role="img" aria-label="{{ tile.label }}">
      <g transform="translate(0 12)">
      <image width="{{ '%.2f' | format(tile.box[0]) }}" height="{{ '%.2f' | format(tile.box[1]) }}"
        preserveAspectRatio="none" href="{{ tile.uri }}"/>
      {% for name, path in tile.paths.items() %}<path class="contour {{ name }}" d="{{ path }}"
        transform="{{ tile.transform }}"/>{% endfor %}
      </g>
      <text x="4" y="10">R</text><text x="{{ '%.2f' | format(tile.box[0] - 4) }}" y="10" text-anchor="end">L</text>
      <text x="{{ '%.2f' | format(tile.box[0] / 2) }}" y="10" text-anchor="middle">{{ tile.title }}</text>
    </svg>{% endfor %}</li>
{% endfor %}
</ol>
"""


def render(page: Page) -> Section | None:
    """Slices through what changed, from the top down; through all lesions where nothing did."""
    if not isinstance(page, ComparisonPage):
        return None
    both = [visit.lesions for visit in (page.earlier, page.later)]
    space = page.earlier.flair.space
    of_kind = {kind: both[0][kind] | both[1][kind] for kind in MARKS if kind in both[0]}
    changed = np.logical_or.reduce([area for kind, area in of_kind.items() if kind != STABLE])
    marked = changed if changed.any() else np.logical_or.reduce(list(of_kind.values()))
    brain = Mask(page.earlier.brain.array | page.later.brain.array, space)
    indices = pick_slices(marked, brain.array, MOST_PAIRS)
    names = page.comparison.earlier.name, page.comparison.later.name
    rows = [
        [_shown(tile, name, which) for tile in tiles_at(visit.flair, brain, _drawn(visit.lesions), indices)]
        for visit, name, which in zip((page.earlier, page.later), names, ("earlier", "later"), strict=True)
    ]
    html = render_text(
        TEMPLATE,
        pairs=list(zip(*rows, strict=True)),
        legend=[kind for kind, area in of_kind.items() if area.any()],
        earlier=names[0],
        later=names[1],
        convention=convention(space),
        words=_words(bool(changed.any()), bool(marked.any())),
    )
    return Section(10, "slices", "Both visits", html)


def _drawn(lesions: Any) -> dict[str, Any]:
    """Kinds that have a colour."""
    return {kind: area for kind, area in lesions.items() if kind in MARKS}


def _words(changed: bool, marked: bool) -> str:
    if changed:
        return "Slices through what changed, from the top down."
    return "Nothing changed; slices through the lesions." if marked else "Nothing is marked at either visit."


def _shown(tile: Tile, name: str, which: str) -> dict[str, Any]:
    height = f"z {tile.centre_mm[2]:.0f} mm"
    return {
        "box": tile.box,
        "paths": tile.paths,
        "transform": tile.transform,
        "uri": data_uri(tile.jpeg, "image/jpeg"),
        "title": f"{which}, {height}",
        "label": f"{name}, the {which} visit, axial slice at {height}",
    }
