"""How volumes, counts, thresholds and quality figures are spread over a cohort; every outlier links to its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from flairline.drawing.curves import new_figure, svg
from flairline.drawing.palette import BAR_COLOUR, LIMIT_COLOUR
from flairline.report.outliers import FENCE, MIN_SCANS, figures_of, group_of, outlying_by_group
from flairline.report.pages import CohortPage, CohortScan, Page, Section
from flairline.report.templates import number, render_text

TEMPLATE = """
<p class="muted">An outlier lies more than {{ fence }} interquartile ranges outside the quartiles{% if groups %} of its own method
and data set{% endif %}.</p>
<div class="charts">
{% for chart in charts %}<figure>{{ chart.svg }}<figcaption>{{ chart.name }}: median {{ chart.median | number }}, quartiles
{{ chart.low | number }} to {{ chart.high | number }}, {{ chart.n }} scans.
{% if chart.outliers %}{{ chart.outliers | length }} outlier{{ '' if chart.outliers | length == 1 else 's' }}:
{% for name, href, value in chart.outliers %}{% if href %}<a href="{{ href }}">{{ name }}</a>{% else %}{{ name }}{% endif %}
 ({{ value | number }}){{ ', ' if not loop.last else '.' }}{% endfor %}{% else %}No outlier.{% endif %}</figcaption></figure>
{% endfor %}</div>
{% if same %}<p class="muted">The same in every scan: {{ same | join("; ") }}.</p>{% endif %}
"""


def render(page: Page) -> Section | None:
    """A histogram for every figure that at least three scans have."""
    if not isinstance(page, CohortPage):
        return None
    charts, same = [], []
    for name, values in figures_of(page.scans).items():
        if len(values) < MIN_SCANS:
            continue
        if len({value for _, value in values}) == 1:
            same.append(f"{name} {number(values[0][1])}")
        else:
            charts.append(_chart(name, values))
    if not charts and not same:
        return None
    groups = len({group_of(scan) for scan in page.scans}) > 1
    html = render_text(TEMPLATE, charts=charts, fence=f"{FENCE:g}", groups=groups, same=same)
    return Section(20, "distributions", "Distributions", html)


def _name(scan: CohortScan) -> str:
    return f"{scan.subject}, {scan.method}" if scan.method else scan.subject


def _chart(name: str, known: Sequence[tuple[CohortScan, float]]) -> dict[str, Any]:
    values = np.array([value for _, value in known])
    out = outlying_by_group(known)
    figure, axes = new_figure(5.0, 2.3)
    axes.hist(values, bins=min(40, max(8, round(len(values) ** 0.5) * 2)), color=BAR_COLOUR)
    if out.any():
        dots = axes.scatter(values[out], np.zeros(int(out.sum())), color=LIMIT_COLOUR, s=34, zorder=3, clip_on=False)
        dots.set_urls([scan.href for (scan, _), is_out in zip(known, out, strict=True) if is_out])
    axes.set_xlabel(name, parse_math=False)
    axes.set_ylabel("scans")
    axes.yaxis.get_major_locator().set_params(integer=True)
    outliers = [(_name(s), s.href, v) for (s, v), is_out in zip(known, out, strict=True) if is_out]
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return {
        "name": name,
        "svg": Markup(svg(figure, f"Distribution of {name}")),
        "n": len(values),
        "low": float(low),
        "median": float(median),
        "high": float(high),
        "outliers": sorted(outliers, key=lambda entry: -entry[2]),
    }
