"""Charts for the pages: a figure in their style, and its SVG."""

from __future__ import annotations

import io
import warnings
from typing import Any


def new_figure(width_inches: float, height_inches: float, plain: bool = False) -> tuple[Any, Any]:
    """A matplotlib figure and its axes in the pages' style, without pyplot and its windows.

    A `plain` one has ticks of few digits and one line of label at either axis. Its margins are known, so nothing has to
    be drawn to find them.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout=None if plain else "constrained")
    if plain:
        left, right, bottom, top = 0.7 / width_inches, 0.08 / width_inches, 0.48 / height_inches, 0.08 / height_inches
        figure.subplots_adjust(left=left, right=1 - right, bottom=bottom, top=1 - top)
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#8a94a0")
    axes.tick_params(colors="#46505c", labelsize=9)
    return figure, axes


def svg(figure: Any, label: str) -> str:
    """A figure as SVG text to stand in a page; its words stay text, `label` says what it shows."""
    import matplotlib as mpl
    from markupsafe import escape

    content = io.StringIO()
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": label, "font.family": "sans-serif"}),
        warnings.catch_warnings(),
    ):
        # The reader's browser has the letters of a name that the font here lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    text = content.getvalue()
    text = text[text.index("<svg") :]
    return text.replace("<svg", f'<svg class="chart" role="img" aria-label="{escape(label)}"', 1)
