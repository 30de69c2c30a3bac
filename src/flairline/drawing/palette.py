"""The colours of every picture: pages, overlays, thumbnails, charts and the paper's figures.

Colours of marks are those of Okabe and Ito where three must be told apart: with any colour vision, and by their
lightness and their dashes in a grey print. The pages' style sheet has the same values as variables; a test holds it to
that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from flairline.types import BoolArray

FOUND, MISSED, FALSE, MASK, BRAIN = "found", "missed", "false", "mask", "brain"
NEW, ENLARGING, STABLE, SHRINKING, RESOLVED = "new", "enlarging", "stable", "shrinking", "resolved"


@dataclass(frozen=True)
class Mark:
    """How one kind of marked voxel is drawn: its colour as #rrggbb, and the dashes of its contour."""

    name: str
    colour: str
    dashes: Literal["solid", "dashed", "dotted"] = "solid"

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue from 0 to 255."""
        red, green, blue = bytes.fromhex(self.colour.removeprefix("#"))
        return red, green, blue


MARKS = {
    mark.name: mark
    for mark in (
        Mark(FOUND, "#56b4e9"),
        Mark(MISSED, "#f0e442", "dashed"),
        Mark(FALSE, "#d55e00", "dotted"),
        Mark(MASK, "#ffb000"),
        Mark(BRAIN, "#9fb3c8"),
        Mark(NEW, "#ff6a3d"),
        Mark(ENLARGING, "#ffc04d", "dashed"),
        Mark(STABLE, "#e8edf2"),
        Mark(SHRINKING, "#7cc7ff", "dashed"),
        Mark(RESOLVED, "#4f9bff"),
    )
}
"""Name -> how it is drawn. `mask` is what is marked where there is no truth to compare with; the last five are what
became of a lesion between two visits: warm where there is more, blue where there is less."""

TRUTH_COLOUR = "#e69f00"
"""Outline of a truth on its own, in the paper's figures."""

LINES = [
    ("#0b5c86", "-"), ("#b3430a", "--"), ("#0a6b4f", "-."), ("#6a4c93", ":"),
    ("#8a6d00", "-"), ("#4a5562", "--"), ("#a02060", "-."), ("#17202a", ":"),
]  # fmt: skip
"""Colour and dashes of the lines of a page's chart; methods beyond these are left out of the drawing."""

PRINT_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
PRINT_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 2)))
"""The lines of the paper's figures, drawn on white: colours of Okabe and Ito, each with dashes of its own."""

BAR_COLOUR = "#7fa6bd"
BARS_APART = ("#9aa7b4", "#d98200")
"""Bars of a histogram: plain, and in two classes (the rest, what is marked)."""
LIMIT_COLOUR, LIMIT_INK = "#b3430a", "#8f3507"
"""A threshold or an outlier in a chart, and the words beside it, which need more contrast."""


def compared(mask: BoolArray, truth: BoolArray | None) -> dict[str, BoolArray]:
    """The voxels (x, y, z) of each kind of mark, in the order in which they are drawn.

    Parameters
    ----------
    mask, truth
        On one grid. Without a truth all that is marked is of one kind, `MASK`.

    Returns
    -------
    dict
        Name in `MARKS` -> boolean array: found, missed and false, or the mask alone.
    """
    if truth is None:
        return {MASK: mask}
    return {FOUND: mask & truth, MISSED: truth & ~mask, FALSE: mask & ~truth}
