"""The interactive viewer: three planes and 3-D of the scan with score and mask over it."""

from __future__ import annotations

import json

from markupsafe import Markup

from flairline.report import templates
from flairline.report.embed import embed
from flairline.report.pages import Page, ScanPage, Section, convention

TEMPLATE = """
<div id="viewer-box" data-state="waiting">
  <div class="tools" role="group" aria-label="View">
    {% for view, key, words in views %}<button type="button" data-view="{{ view }}"
      aria-pressed="{{ 'true' if loop.first else 'false' }}" title="Key {{ key }}">{{ words }}</button>{% endfor %}
  </div>
  <div class="desk"><div class="stage"><canvas id="viewer-canvas" tabindex="0" role="application"
    aria-label="Viewer. Arrow keys and page up, page down move the cross; the keys are listed below."></canvas>
    <p class="waiting" id="viewer-message" role="status">The viewer is starting.</p></div>
  <div class="side">
  <p class="shown" id="shown-volume" role="status"></p>
  <div class="sliders">
    <label for="slider-threshold">Threshold <output id="threshold-value"></output></label>
    <input type="range" id="slider-threshold" min="1" max="255" step="1" value="{{ code }}">
    <label for="slider-mask">Mask opacity</label>
    <input type="range" id="slider-mask" min="0" max="100" value="60">
    <label for="slider-score">Score opacity</label>
    <input type="range" id="slider-score" min="0" max="100" value="0">
  </div>
  <div class="tools">
    <button type="button" id="threshold-reset">Mask {{ origin }}</button>
    <button type="button" id="brain-toggle" aria-pressed="false">Brain outline</button>
    {% if truth %}<button type="button" id="truth-toggle" aria-pressed="true">Compare with the truth</button>{% endif %}
  </div>
  {% if truth %}<ul class="legend dots"><li><i class="found"></i>found</li><li><i class="missed"></i>missed</li>
  <li><i class="false"></i>false</li></ul>{% endif %}
  <p class="readout" id="viewer-readout" aria-live="off">&nbsp;</p>
  <p class="muted">{{ convention }} {{ words }}
  A moved threshold re-draws the mask without smallest sizes or other rules; “Mask {{ origin }}” brings back the mask
  on file.</p>
  </div></div>
  <details class="keys"><summary>Keys</summary><p>In the viewer: <kbd>←</kbd> <kbd>→</kbd> <kbd>↑</kbd> <kbd>↓</kbd>
  move in the axial plane, <kbd>Page Up</kbd> <kbd>Page Down</kbd> (or the wheel) through the slices,
  <kbd>1</kbd>–<kbd>5</kbd> change the view, <kbd>[</kbd> <kbd>]</kbd> move the threshold, <kbd>−</kbd> <kbd>+</kbd> the
  mask's opacity, <kbd>N</kbd> the next region, <kbd>B</kbd> the brain outline, <kbd>R</kbd> the mask {{ origin }}.
  On the page: <kbd>Shift</kbd> with <kbd>P</kbd>, <kbd>F</kbd> or <kbd>A</kbd> gives the verdict.</p></details>
</div>
<script type="application/json" id="viewer-meta">{{ meta }}</script>
<script type="text/plain" id="viewer-flair">{{ flair }}</script>
<script type="text/plain" id="viewer-codes">{{ codes }}</script>
<script type="text/plain" id="viewer-bits">{{ bits }}</script>
<script type="text/plain" id="viewer-code">{{ script }}</script>
"""
VIEWS = [
    ("all", "1", "Planes and 3-D"),
    ("axial", "2", "Axial"),
    ("coronal", "3", "Coronal"),
    ("sagittal", "4", "Sagittal"),
    ("render", "5", "3-D"),
]
MISSING = """<p>The interactive viewer is not in this installation: its script is bundled when flairline is installed with
pip. The slices below show the result.</p>"""


def render(page: Page) -> Section | None:
    """Canvas, controls, and the volumes inside the page; words instead where the bundle was not built."""
    if not isinstance(page, ScanPage):
        return None
    script = templates.viewer_bundle()
    if script is None:
        return Section(10, "viewer", "Viewer", Markup(MISSING))
    origin = "as segmented" if page.summary.corrected is None else "as corrected"
    packed = embed(page, page.viewer_characters)
    meta = {
        "edges": [float(f"{edge:.6g}") for edge in packed.edges],
        "thresholdCode": packed.threshold_code,
        "threshold": page.threshold.value,
        "voxelMl": packed.voxel_ml,
        "maskMl": page.mask.volume_ml,
        "truth": page.truth is not None,
        "origin": origin,
        "exact": not packed.words,
        "sidesKnown": page.scan.space.sides_known,
    }
    html = templates.render_text(
        TEMPLATE,
        views=VIEWS,
        origin=origin,
        code=packed.threshold_code,
        truth=page.truth is not None,
        words=packed.words,
        convention=convention(page.scan.space),
        meta=Markup(json.dumps(meta).replace("<", "\\u003c")),
        flair=packed.flair,
        codes=packed.codes,
        bits=packed.bits,
        script=templates.packed_text(script),
    )
    return Section(10, "viewer", "Viewer", html)
