"""Axial slices through the lesions with contours; against a truth: found, missed and false."""

from __future__ import annotations

from flairline.drawing.mosaic import tiles
from flairline.drawing.palette import BRAIN, MASK, compared
from flairline.report.pages import Page, ScanPage, Section, convention
from flairline.report.templates import data_uri, render_text

LEGEND = {MASK: "marked", BRAIN: "brain outline"}
"""What the legend says instead of a mark's name."""
TEMPLATE = """
<div class="tools">
  <ul class="legend">
  {% for name, words in legend %}
    <li><svg viewBox="0 0 44 14" aria-hidden="true"><path class="contour {{ name }}" d="M3 7H41"/></svg>{{ words }}</li>
  {% endfor %}
  </ul>
  <button type="button" data-toggle="no-contours" data-target="mosaic-grid" aria-pressed="true">Contours</button>
  <button type="button" data-toggle="no-brain" data-target="mosaic-grid" aria-pressed="true">Brain outline</button>
</div>
<p class="muted">{{ convention }} {{ words }}</p>
<ol class="mosaic" id="mosaic-grid">
{% for tile in tiles %}
  <li><button type="button" data-goto="{{ tile.centre_mm | join(',') }}"
      aria-label="{{ 'R L ' if sides_known }}z {{ '%.0f' | format(tile.centre_mm[2]) }} mm: axial slice {{ tile.index }}, show in the viewer">
    <svg viewBox="0 0 {{ '%.2f' | format(tile.box[0]) }} {{ '%.2f' | format(tile.box[1] + 12) }}" aria-hidden="true">
      <g transform="translate(0 12)">
      <image width="{{ '%.2f' | format(tile.box[0]) }}" height="{{ '%.2f' | format(tile.box[1]) }}"
        preserveAspectRatio="none" href="{{ tile.uri }}"/>
      {% for name, path in tile.paths.items() %}<path class="contour {{ name }}" d="{{ path }}"
        transform="{{ tile.transform }}"/>{% endfor %}
      </g>
      {% if sides_known %}<text x="4" y="10">R</text>
      <text x="{{ '%.2f' | format(tile.box[0] - 4) }}" y="10" text-anchor="end">L</text>{% endif %}
      <text x="{{ '%.2f' | format(tile.box[0] / 2) }}" y="10" text-anchor="middle">z {{ '%.0f' | format(tile.centre_mm[2]) }} mm</text>
    </svg></button></li>
{% endfor %}
</ol>
"""


def render(page: Page) -> Section | None:
    """A picture a slice: the image as JPEG, contours as vectors over it."""
    if not isinstance(page, ScanPage):
        return None
    mask = page.mask.array
    regions = compared(mask, None if page.truth is None else page.truth.array)
    legend = [*((name, LEGEND.get(name, name)) for name in regions), (BRAIN, LEGEND[BRAIN])]
    shown = tiles(page.scan.flair, page.scan.brain, regions)
    items = [
        {
            "index": t.index,
            "transform": t.transform,
            "centre_mm": [round(v, 1) for v in t.centre_mm],
            "box": t.box,
            "paths": t.paths,
        }
        | {"uri": data_uri(t.jpeg, "image/jpeg")}
        for t in shown
    ]
    anything = any(region.any() for region in regions.values())
    words = "Slices through what is marked, from the top down." if anything else "Nothing is marked in this scan."
    html = render_text(
        TEMPLATE,
        tiles=items,
        legend=legend,
        words=words,
        convention=convention(page.scan.space),
        sides_known=page.scan.space.sides_known,
    )
    return Section(30, "mosaic", "Axial slices", html)
