"""Scan against atlas in three planes, one over the other: flicker, or blend by hand."""

from __future__ import annotations

from flairline.drawing.mosaic import planes
from flairline.report.pages import Page, ScanPage, Section
from flairline.report.templates import data_uri, render_text

TEMPLATE = """
<div class="tools screen">
  <button type="button" id="flicker-toggle" aria-pressed="false">Flicker</button>
  <label for="flicker-blend">Scan</label>
  <input type="range" id="flicker-blend" min="0" max="100" value="50"><span aria-hidden="true">Atlas</span>
</div>
<p class="muted">The atlas carried into the scan's space, with the scan's brain outline. {% if sides_known %}Radiological convention: in
the axial and coronal pictures the patient's right is on the left; in the sagittal one the front is on the left.{% else %}The
file's header says no orientation, so no side is named.{% endif %}</p>
<div class="flicker" id="flicker">
{% for plane in planes %}
  <figure><svg viewBox="0 0 {{ '%.2f' | format(plane.box[0]) }} {{ '%.2f' | format(plane.box[1]) }}" role="img"
    aria-label="{{ plane.name }} plane: scan and atlas, one over the other">
    <image class="under" width="100%" height="100%" preserveAspectRatio="none" href="{{ plane.scan }}"/>
    <image class="over" width="100%" height="100%" preserveAspectRatio="none" href="{{ plane.atlas }}"/>
    <path class="contour brain" d="{{ plane.path }}" transform="{{ plane.transform }}"/>
    <text x="4" y="12">{{ plane.letters[0] }}</text>
    <text x="{{ '%.2f' | format(plane.box[0] - 4) }}" y="12" text-anchor="end">{{ plane.letters[1] }}</text></svg>
  <figcaption>{{ plane.name }}</figcaption></figure>
{% endfor %}
</div>
"""


def render(page: Page) -> Section | None:
    """Three planes through the brain's middle; None where no atlas was carried over."""
    if not isinstance(page, ScanPage) or page.atlas is None:
        return None
    shown = [
        {
            "name": plane.name,
            "box": plane.box,
            "letters": plane.letters,
            "path": plane.path,
            "transform": plane.transform,
            "scan": data_uri(plane.scan, "image/jpeg"),
            "atlas": data_uri(plane.atlas, "image/jpeg"),
        }
        for plane in planes(page.scan.flair, page.scan.brain, page.atlas)
    ]
    return Section(
        50, "registration", "Registration", render_text(TEMPLATE, planes=shown, sides_known=page.scan.space.sides_known)
    )
