"""The head of a cohort's page: how many scans, how many to look at, what failed."""

from __future__ import annotations

from collections import Counter

from flairline.report.pages import CohortPage, Page, Section
from flairline.report.templates import render_text

TEMPLATE = """
<h1>{{ title }}</h1>
<dl class="figures">
  <div><dt>Scans</dt><dd>{{ total | number }}</dd></div>
  <div><dt>Flagged</dt><dd>{{ flagged | number }}{% if not checked %}
    <span class="why">no quality checks were run</span>{% endif %}</dd></div>
  <div><dt>Failed</dt><dd>{{ failed | number }}</dd></div>
  {% if methods %}<div><dt>Method</dt><dd><small>{{ methods | join(", ") }}</small></dd></div>{% endif %}
  {% if median is not none %}<div><dt>Median {{ 'marked' if notes else 'lesion' }} volume</dt>
    <dd>{{ median | number }} <small>ml</small></dd></div>{% endif %}
</dl>
{% for note in notes %}<p class="note" role="note"><strong>{{ note[0] | upper }}{{ note[1:] }}</strong>
The threshold fixes how much of each brain is marked: volumes say nothing about how much is abnormal.</p>{% endfor %}
{% if left_out %}<p class="note" role="note"><strong>{{ left_out | length }} scans left out by verdict</strong>
{{ left_out | join(", ") }}</p>{% endif %}
{% if kinds %}<h2>Flags</h2><ul class="flags">{% for text, count in kinds %}<li>{{ count }} × {{ text }}</li>{% endfor %}
</ul>{% endif %}
"""
MAX_KINDS = 8


def render(page: Page) -> Section | None:
    """Counts, the notes of the scans, the most frequent flags."""
    if not isinstance(page, CohortPage):
        return None
    volumes = sorted(volume for s in page.scans if (volume := s.summary.lesion_volume_ml) is not None)
    flags = Counter(flag for scan in page.scans for flag in scan.flags)
    html = render_text(
        TEMPLATE,
        title=page.title,
        total=len({scan.key for scan in page.scans}),
        flagged=len({scan.key for scan in page.scans if scan.flags}),
        failed=sum(bool(scan.error) for scan in page.scans),
        checked=any(scan.summary.qc is not None for scan in page.scans),
        methods=sorted({m for s in page.scans if (m := s.method or s.summary.method or "")}),
        median=volumes[len(volumes) // 2] if volumes else None,
        notes=sorted({note for scan in page.scans if (note := scan.summary.note)}),
        left_out=list(page.left_out),
        kinds=flags.most_common(MAX_KINDS),
    )
    return Section(0, "overview", "", html)
