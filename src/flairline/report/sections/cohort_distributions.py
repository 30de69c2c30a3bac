"""How volumes, counts, thresholds and quality figures are spread over a cohort; every outlier links to its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from flairline.report.figures import new_figure, svg
from flairline.report.pages import CohortPage, CohortScan, Page, Section
from flairline.report.templates import render_text

FENCE = 3.0
"""A value further than so many interquartile ranges from the nearer quartile is an outlier (Tukey's outer fence)."""
MIN_SCANS = 3
METRICS = {"dice": "Dice, usable threshold", "dice_at_oracle": "Dice, oracle threshold"}
TEMPLATE = """
<p class="muted">An outlier lies more than {{ fence }} interquartile ranges outside the quartiles.</p>
<div class="charts">
{% for chart in charts %}<figure>{{ chart.svg }}<figcaption>{{ chart.name }}: median {{ chart.median | number }}, quartiles
{{ chart.low | number }} to {{ chart.high | number }}, {{ chart.n }} scans.
{% if chart.outliers %}{{ chart.outliers | length }} outlier{{ '' if chart.outliers | length == 1 else 's' }}:
{% for name, href, value in chart.outliers %}{% if href %}<a href="{{ href }}">{{ name }}</a>{% else %}{{ name }}{% endif %}
 ({{ value | number }}){{ ', ' if not loop.last else '.' }}{% endfor %}{% else %}No outlier.{% endif %}</figcaption></figure>
{% endfor %}</div>
"""


def render(page: Page) -> Section | None:
    """A histogram for every figure that at least three scans have."""
    if not isinstance(page, CohortPage):
        return None
    charts = []
    for name, values in _figures(page.scans).items():
        known = [(scan, value) for scan, value in values if np.isfinite(value)]
        if len(known) >= MIN_SCANS:
            charts.append(_chart(name, known))
    if not charts:
        return None
    return Section(20, "distributions", "Distributions", render_text(TEMPLATE, charts=charts, fence=f"{FENCE:g}"))


def outlying(values: np.ndarray) -> np.ndarray:
    """Which values (n,) lie outside Tukey's outer fences; none where all quartiles agree and nothing differs."""
    low, high = np.quantile(values, (0.25, 0.75))
    reach = FENCE * (high - low)
    # Quartiles that agree would make an outlier of every rounding error.
    slack = 1e-6 * max(abs(low), abs(high))
    return (values < low - reach - slack) | (values > high + reach + slack)


def _figures(scans: Sequence[CohortScan]) -> dict[str, list[tuple[CohortScan, float]]]:
    found: dict[str, list[tuple[CohortScan, float]]] = {}
    for scan in scans:
        summary = scan.summary
        figures: dict[str, Any] = {
            "Volume (ml)": summary.get("lesion_volume_ml"),
            "Regions": summary.get("n_lesions"),
            "Threshold": (summary.get("threshold") or {}).get("value"),
            "Brain volume (ml)": summary.get("brain_volume_ml"),
            **{words: scan.metrics[name] for name, words in METRICS.items() if name in scan.metrics},
            **quality_figures(summary.get("qc")),
        }
        for name, value in figures.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found.setdefault(name, []).append((scan, float(value)))
    return found


def quality_figures(qc: Any) -> dict[str, float]:
    """Numbers of a summary's `qc`, at its top or under `figures`."""
    if not isinstance(qc, Mapping):
        return {}
    inner = qc.get("figures")
    figures = {**qc, **inner} if isinstance(inner, Mapping) else {**qc}
    return {str(k): float(v) for k, v in figures.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}


def _chart(name: str, known: Sequence[tuple[CohortScan, float]]) -> dict[str, Any]:
    values = np.array([value for _, value in known])
    out = outlying(values)
    figure, axes = new_figure(5.0, 2.3)
    axes.hist(values, bins=min(40, max(8, round(len(values) ** 0.5) * 2)), color="#7fa6bd")
    if out.any():
        dots = axes.scatter(values[out], np.zeros(int(out.sum())), color="#b3430a", s=34, zorder=3, clip_on=False)
        dots.set_urls([scan.href for (scan, _), is_out in zip(known, out, strict=True) if is_out])
    axes.set_xlabel(name, parse_math=False)
    axes.set_ylabel("scans")
    axes.yaxis.get_major_locator().set_params(integer=True)
    outliers = [(s.subject, s.href, v) for (s, v), is_out in zip(known, out, strict=True) if is_out]
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
