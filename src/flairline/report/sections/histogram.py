"""Histogram of the brain's scores with the threshold, and of its FLAIR intensities inside and outside the mask."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from flairline.drawing.curves import new_figure, svg
from flairline.drawing.palette import BAR_COLOUR, BARS_APART, LIMIT_COLOUR, LIMIT_INK
from flairline.report.pages import Page, ScanPage, Section
from flairline.report.templates import number, render_text

PEAKED = 50.0
"""A highest bin of so many times the median one makes the scores' chart logarithmic."""
TEMPLATE = """
<div class="charts"><figure>{{ score }}<figcaption>Scores inside the brain; {{ 'what lies right of the line was marked before a person corrected it.' if corrected else 'what lies right of the line is marked.' }}
{{ 'Logarithmic upwards.' if logarithmic }}</figcaption></figure><figure>{{ flair }}<figcaption>{{ image }} intensities of the brain: the mask against the rest,
each in shares of itself.</figcaption></figure></div>
"""


def render(page: Page) -> Section | None:
    """Two charts as vectors."""
    if not isinstance(page, ScanPage) or not page.scan.brain.array.any():
        return None
    score, logarithmic = _score(page)
    html = render_text(
        TEMPLATE,
        score=Markup(score),
        logarithmic=logarithmic,
        flair=Markup(_flair(page)),
        image=page.image,
        corrected=page.summary.corrected is not None,
    )
    return Section(40, "histogram", "Histogram and threshold", html)


def _score(page: ScanPage) -> tuple[str, bool]:
    """The chart, and whether it is logarithmic: where nearly all of a brain scores alike, the rest would be flat."""
    score = page.score.array[page.scan.brain.array]
    score = score[np.isfinite(score)]
    from matplotlib.ticker import NullFormatter

    figure, axes = new_figure(5.6, 2.7, plain=True)
    logarithmic = False
    if score.size:
        counts, edges = np.histogram(score, bins=80)
        logarithmic = bool(counts.max() > PEAKED * np.median(counts))
        # From half a voxel up, so that a bin of one voxel is seen.
        floor = page.scan.space.voxel_ml / 2 if logarithmic else 0
        axes.stairs(counts * page.scan.space.voxel_ml, edges, baseline=floor, fill=True, color=BAR_COLOUR)
        if logarithmic:
            axes.set_yscale("log")
            # Plain numbers: powers of ten are set by mathtext, which takes longer to load than the whole chart.
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_ylim(bottom=floor)
    axes.axvline(page.threshold.value, color=LIMIT_COLOUR, linewidth=2)
    label = f"threshold {number(page.threshold.value, 4)}"
    right = score.size and page.threshold.value > np.mean([score.min(), score.max()])
    axes.annotate(
        label,
        (page.threshold.value, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if right else 6, -4),
        textcoords="offset points",
        ha="right" if right else "left",
        va="top",
        color=LIMIT_INK,
        fontsize=10,
    )
    axes.margins(y=0.2)
    axes.set_xlabel("score")
    axes.set_ylabel("ml")
    return svg(figure, f"Histogram of the scores inside the brain, {label}"), logarithmic


def _flair(page: ScanPage) -> str:
    brain, mask = page.scan.brain.array, page.mask.array
    rest, inside = page.scan.flair.array[brain & ~mask], page.scan.flair.array[brain & mask]
    figure, axes = new_figure(5.6, 2.7, plain=True)
    values = page.scan.flair.array[brain]
    values = values[np.isfinite(values)]
    if values.size:
        low, high = (float(v) for v in np.percentile(values, (0.1, 99.95)))
        if inside.size:
            high = max(high, float(np.nanpercentile(inside, 99)))
        bins = np.linspace(low, high if high > low else low + 1, 81)
        for part, color, name in ((rest, BARS_APART[0], "not marked"), (inside, BARS_APART[1], "marked")):
            # Shares, because a mask is a hundredth of a brain and would not be seen in ml.
            counts = np.histogram(part, bins)[0] * (100 / max(part.size, 1))
            axes.stairs(counts, bins, fill=True, color=color, alpha=0.75, label=name)
        axes.legend(frameon=False, fontsize=10)
    axes.set_xlabel(f"{page.image} intensity")
    axes.set_ylabel("share (%)")
    return svg(figure, "Histogram of the brain's FLAIR intensities, marked and not marked")
