"""Against truths: precision-recall, Dice against the threshold, and Dice by the size of what was to be found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from markupsafe import Markup

from flairline.drawing.curves import new_figure, svg
from flairline.drawing.palette import LINES
from flairline.report.pages import CohortPage, Page, Section
from flairline.report.templates import render_text

TEMPLATE = """
<div class="charts">
{% for chart, words in charts %}<figure>{{ chart }}<figcaption>{{ words }}</figcaption></figure>{% endfor %}
</div>
"""
DICE_WORDS = (
    "{}: the cohort's Dice after the component filter against the threshold. A dot marks the oracle threshold (chosen on"
    " these very labels); a dashed upright line where the recipe's own rule, without labels, cuts the median scan."
)


def render(page: Page) -> Section | None:
    """Up to three charts; None where there was no truth."""
    if not isinstance(page, CohortPage) or not (page.curves or page.sizes):
        return None
    charts = []
    if page.curves:
        charts.append((_precision_recall(page), "Precision against recall over all voxels of a cohort."))
        # Scores of different methods share no scale, so each method has its own axis.
        methods = dict.fromkeys(curve.method for curve in page.curves)
        charts += [(_dice(page, method), DICE_WORDS.format(method)) for method in methods]
    if page.sizes:
        charts.append((_sizes(page), "Each scan's Dice at the oracle threshold against the volume of its truth."))
    return Section(30, "curves", "Against the truth", render_text(TEMPLATE, charts=charts))


def _precision_recall(page: CohortPage) -> Markup:
    def draw(axes: Any) -> None:
        for (color, style), curve in zip(LINES, page.curves, strict=False):
            axes.plot(curve.recall, curve.precision, color=color, linestyle=style, label=curve.name)
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))

    return _drawn(draw, "Precision against recall")


def _dice(page: CohortPage, method: str) -> Markup:
    def draw(axes: Any) -> None:
        curves = [curve for curve in page.curves if curve.method == method]
        for (color, style), curve in zip(LINES, curves, strict=False):
            dice = np.asarray(curve.dice, dtype=float)
            axes.plot(curve.thresholds, dice, color=color, linestyle=style, label=curve.dataset)
            if np.isfinite(dice).any():
                best = int(np.nanargmax(dice))
                axes.plot([curve.thresholds[best]], [dice[best]], "o", color=color)
            if curve.usable is not None:
                axes.axvline(curve.usable, color=color, linestyle=(0, (4, 3)), linewidth=1)
        axes.set(xlabel=f"threshold of {method}".replace("$", ""), ylabel="Dice", ylim=(0, 1.02))

    return _drawn(draw, f"Dice of {method} against the threshold")


def _sizes(page: CohortPage) -> Markup:
    from matplotlib.ticker import LogFormatter

    def draw(axes: Any) -> None:
        groups: dict[str, list[Any]] = {}
        for row in page.sizes:
            groups.setdefault(f"{row['method']}, {row['dataset']}", []).append(row)
        for (color, _), marker, (name, rows) in zip(LINES, "osD^vPX*", groups.items(), strict=False):
            known = [row for row in rows if row["truth_ml"] > 0 and np.isfinite(row["dice"])]
            if known:
                volumes, dice = [r["truth_ml"] for r in known], [r["dice"] for r in known]
                dots = axes.scatter(volumes, dice, color=color, marker=marker, s=26, label=name)
                dots.set_urls([row.get("href") for row in known])
        axes.set(xlabel="volume of the truth (ml)", ylabel="Dice", ylim=(0, 1.02), xscale="log")
        for axis_format in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
            axis_format(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))

    return _drawn(draw, "Dice by the volume of the truth")


def _drawn(draw: Callable[[Any], None], label: str) -> Markup:
    figure, axes = new_figure(5.4, 3.6)
    draw(axes)
    handles, names = axes.get_legend_handles_labels()
    if handles:
        legend = axes.legend(handles, names, frameon=False, fontsize=9)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return Markup(svg(figure, label))
