"""Dice and detection by the volume of single lesions: small ones are missed first, and a scan's Dice hides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from flairline.drawing.curves import new_figure, svg
from flairline.drawing.palette import LINES
from flairline.report.pages import CohortPage, Page, Section
from flairline.report.templates import render_text

TEMPLATE = """
<p class="muted">Every lesion of a truth (26-connected) by its own volume. Found: it shares a voxel with the mask. Its
Dice is with the found regions that touch it, 0 where it was missed; the mean is over all lesions of the class.</p>
<div class="charts">{% for chart, words in charts %}<figure>{{ chart }}<figcaption>{{ words }}</figcaption></figure>
{% endfor %}</div>
<div class="scroll tall" tabindex="0" role="region" aria-label="Table of lesions by volume"><table>
<thead><tr><th scope="col">Data set</th><th scope="col">Method</th><th scope="col">Threshold</th>
<th scope="col" class="n">Lesion volume (ml)</th><th scope="col" class="n">Lesions</th>
<th scope="col" class="n">Found</th><th scope="col" class="n">Found (%)</th>
<th scope="col" class="n">Mean Dice</th></tr></thead>
<tbody>{% for row in rows %}<tr><td>{{ row.dataset }}</td><td>{{ row.method }}</td><td>{{ row.threshold }}</td>
<td class="n">{{ row.range }}</td><td class="n">{{ row.lesions }}</td><td class="n">{{ row.hit }}</td>
<td class="n">{{ '%.0f' | format(100 * row.hit / row.lesions) }}</td><td class="n">{{ row.dice | number }}</td></tr>
{% endfor %}</tbody></table></div>
"""
CHARTS = (
    ("dice", "mean Dice", "Mean Dice of the lesions of each volume"),
    ("recall", "share found", "Share of the lesions of each volume that were found"),
)


def render(page: Page) -> Section | None:
    """Two charts and a table; None where there was no truth with lesions."""
    if not isinstance(page, CohortPage) or not page.lesions_by_size:
        return None
    rows = [{**row, "range": _range(row)} for row in page.lesions_by_size]
    charts = [
        (Markup(_chart(rows, figure, label, title)), f"{title}; at the threshold that the legend names.")
        for figure, label, title in CHARTS
    ]
    return Section(35, "lesion-sizes", "By lesion size", render_text(TEMPLATE, rows=rows, charts=charts))


def _range(row: Mapping[str, Any]) -> str:
    low, high = float(row["low_ml"]), row["high_ml"]
    if high is None:
        return f"\u2265 {low:g}"
    return f"{low:g} to {float(high):g}" if low else f"< {float(high):g}"


def _chart(rows: Sequence[Mapping[str, Any]], figure_name: str, label: str, title: str) -> str:
    classes = {row["range"]: float(row["low_ml"]) for row in rows}
    names = sorted(classes, key=lambda name: classes[name])
    lines: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        value = row["dice"] if figure_name == "dice" else row["hit"] / row["lesions"]
        line = f"{row['method']}, {row['dataset']}, {row['threshold']}"
        lines.setdefault(line, []).append((names.index(row["range"]), value))
    figure, axes = new_figure(5.4, 3.4)
    for (color, style), marker, (line, points) in zip(LINES, "osD^vPX*", lines.items(), strict=False):
        axes.plot(*zip(*points, strict=True), color=color, linestyle=style, marker=marker, label=line)
    axes.set(xticks=range(len(names)), xticklabels=names, ylim=(-0.02, 1.02), ylabel=label)
    axes.set_xlabel("lesion volume (ml)")
    for text in axes.legend(frameon=False, fontsize=8).get_texts():
        text.set_parse_math(False)
    return svg(figure, title)
