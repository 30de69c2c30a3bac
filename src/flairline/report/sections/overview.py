"""The head of a scan's page: what was found, by which threshold, and whether to trust it."""

from __future__ import annotations

from flairline.evaluation.lesions import count_hits
from flairline.report.pages import Page, ScanPage, Section
from flairline.report.templates import render_text

TEMPLATE = """
<h1>{{ subject }}</h1>
<p class="sub">{{ how }}</p>
<dl class="figures">
  <div><dt>{{ 'Marked' if note else 'Lesion' }} volume</dt><dd>{{ volume | number }} <small>ml</small>
    {% if share %}<span class="why">{{ share }} of the brain</span>{% endif %}</dd></div>
  <div><dt>{{ 'Marked regions' if note else 'Lesions' }}</dt><dd>{{ count | number }}
    {% if largest %}<span class="why">largest {{ largest | number }} ml</span>{% endif %}</dd></div>
  <div><dt>Threshold{{ ' before it was corrected' if corrected }}</dt><dd>{{ threshold.value | number(4) }}
    <span class="why">{{ threshold.rule }}, chosen on {{ threshold.chosen_on }}</span></dd></div>
  {% if brain_ml %}<div><dt>Brain volume</dt><dd>{{ brain_ml | number(4) }} <small>ml</small></dd></div>{% endif %}
  {% if dice is not none %}<div><dt>Dice with the truth</dt><dd>{{ dice | number }}
    <span class="why">truth {{ truth_ml | number }} ml</span></dd></div>{% endif %}
  {% if hits %}<div><dt>Lesions of the truth</dt><dd>{{ hits[0] }} <small>of {{ hits[1] }} found</small>
    <span class="why">{{ false_ml | number }} ml marked outside them</span></dd></div>{% endif %}
</dl>
{% if corrected %}<p class="note" role="note"><strong>Corrected by a person</strong>
The mask was read from {{ corrected.file }}; all volumes and regions are that mask's.
{% if corrected.volume_before_ml is not none %}As it was segmented: {{ corrected.volume_before_ml | number }} ml
in {{ corrected.n_lesions_before | number }} {{ 'lesion' if corrected.n_lesions_before == 1 else 'lesions' }}.{% endif %}</p>{% endif %}
{% if note %}<p class="note" role="note"><strong>{{ note[0] | upper }}{{ note[1:] }}</strong>
The threshold fixes how much of the brain is marked, so the volume above says nothing about how much is abnormal.
Look at where it lies.</p>{% endif %}
{% if image != 'FLAIR' %}<p class="note" role="note"><strong>The pictures show the {{ image }}</strong>
No FLAIR lies on its grid.</p>{% endif %}
{% if oracle %}<p class="note" role="note"><strong>Oracle threshold</strong>
It was chosen on the labels that it is judged by; no user has it without labels.</p>{% endif %}
<ul class="flags" aria-label="Quality flags">
{% for flag in flags %}<li>{{ flag }}</li>
{% else %}<li class="{{ 'clear' if checked else 'none' }}">{{ clear }}</li>
{% endfor %}</ul>
{% if notes %}<ul class="notes muted" aria-label="What was decided">{% for note in notes %}<li>{{ note }}</li>
{% endfor %}</ul>{% endif %}
"""


def render(page: Page) -> Section | None:
    """Subject, numbers, threshold with its origin, the note, flags in words, what was found and decided on the way."""
    if not isinstance(page, ScanPage):
        return None
    summary = page.summary
    lesions = summary.lesions or ()
    volume = page.mask.volume_ml if summary.lesion_volume_ml is None else summary.lesion_volume_ml
    brain_ml = summary.brain_volume_ml or page.scan.brain.volume_ml
    checked = summary.qc is not None
    html = render_text(
        TEMPLATE,
        subject=page.subject,
        how=_how(page),
        volume=volume,
        share=f"{100 * volume / brain_ml:.2g} %" if brain_ml > 0 else "",
        count=len(lesions) if summary.n_lesions is None else summary.n_lesions,
        largest=max((lesion.volume_ml for lesion in lesions), default=0),
        threshold=page.threshold,
        brain_ml=brain_ml,
        dice=_dice(page),
        hits=count_hits(page.truth.array, page.mask.array) if page.truth is not None else None,
        false_ml=_false_ml(page),
        truth_ml=page.truth.volume_ml if page.truth is not None else None,
        note=summary.note or "",
        corrected=summary.corrected,
        oracle=page.threshold.rule == page.threshold.ORACLE,
        image=page.image,
        flags=summary.qc.words if summary.qc is not None else [],
        notes=summary.qc.notes if summary.qc is not None else (),
        checked=checked,
        clear="No quality flag was raised." if checked else "No quality checks were run on this scan.",
    )
    return Section(0, "overview", "", html)


def _how(page: ScanPage) -> str:
    method, recipe = page.summary.method, page.summary.recipe
    parts = [
        page.summary.dataset or "",
        f"Method {method}" if method else "",
        f"recipe {recipe}" if recipe and recipe != method else "",
    ]
    shape = " × ".join(map(str, page.scan.space.shape))
    spacing = " × ".join(f"{side:.3g}" for side in page.scan.spacing_mm)
    return " · ".join([*filter(None, parts), f"{shape} voxels of {spacing} mm"])


def _false_ml(page: ScanPage) -> float:
    """Volume that is marked but no lesion of the truth."""
    if page.truth is None:
        return 0.0
    return float((page.mask.array & ~page.truth.array).sum()) * page.scan.space.voxel_ml


def _dice(page: ScanPage) -> float | None:
    """Dice of mask and truth inside the grid; None without a truth or where both are empty."""
    if page.truth is None:
        return None
    both = float((page.mask.array & page.truth.array).sum())
    total = float(page.mask.array.sum() + page.truth.array.sum())
    return 2 * both / total if total else None
