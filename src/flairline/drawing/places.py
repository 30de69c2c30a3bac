"""A picture of single places of a scan, each a column: the FLAIR around it, and what is found, missed and false there.

Axial slices in radiological convention; colours and dashes are those of `drawing.palette`, as in `drawing.overlay`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flairline.drawing.overlay import (
    CONVENTION,
    DPI,
    NO_SIDES,
    display_range,
    draw_letters,
    draw_marks,
    voxel_aspect,
)
from flairline.drawing.palette import MARKS, compared
from flairline.errors import GridError
from flairline.io.files import write_bytes
from flairline.types import Mask, Scan

SIDE_MM = 80.0
"""Side of what is shown around a place."""
INCHES = 2.3
"""Width of one place."""


@dataclass(frozen=True)
class Place:
    """A voxel (x, y, z) of a scan to look at, and the words above its column."""

    voxel: tuple[int, int, int]
    words: str


def write_places(path: Path, scan: Scan, mask: Mask, truth: Mask, places: Sequence[Place], title: str) -> None:
    """Write one PNG with a column for each place.

    Parameters
    ----------
    scan, mask, truth
        On one grid.
    places
        At least one; the picture gets as wide as they are many.

    Raises
    ------
    GridError
        Mask or truth is not on the scan's grid.
    OutputError
        The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    for name, image in (("mask", mask), ("truth", truth)):
        if not image.space.same_grid(scan.space):
            msg = (
                f"The {name} of {scan.subject} is not on the scan's grid: {image.space.describe()} against"
                f" {scan.space.describe()}. Resample it onto the scan."
            )
            raise GridError(msg)
    marks = compared(mask.array, truth.array)
    grey = display_range(scan)
    dim = {**grey, "vmax": 1.4 * grey["vmax"]}
    width, height = max(INCHES * len(places) + 0.1, 5.6), 2 * INCHES + 1.35
    figure = Figure((width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        2, len(places), left=0.05 / width, right=1 - 0.05 / width, top=1 - 0.75 / height, bottom=0.6 / height,
        wspace=0.03, hspace=0.03,
    )  # fmt: skip
    for column, place in enumerate(places):
        box = _window(scan, place.voxel)
        for row, look in enumerate((grey, dim)):
            axes = figure.add_subplot(grid[row, column])
            shown = scan.flair.array[box[0], box[1], place.voxel[2]][::-1].T  # (y, x), x turned round
            axes.imshow(shown, origin="lower", aspect=voxel_aspect(scan), **look)
            draw_letters(axes, scan.space.sides_known)
            if row:
                draw_marks(axes, marks, box, place.voxel[2])
            else:
                axes.set_title(place.words, fontsize=8, pad=2)
    figure.suptitle(title, fontsize=9, y=1 - 0.06 / height, va="top")
    handles = [Patch(facecolor=MARKS[name].colour, alpha=0.6) for name in marks]
    corner = (0.05 / width, 0.22 / height)
    figure.legend(handles, list(marks), loc="lower left", bbox_to_anchor=corner, ncol=3, fontsize=8, frameon=False)
    words = CONVENTION if scan.space.sides_known else NO_SIDES
    figure.text(0.08 / width, 0.08 / height, words + " Research use only.", fontsize=7)
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    write_bytes(path, content.getvalue())


def _window(scan: Scan, voxel: tuple[int, int, int]) -> tuple[slice, slice]:
    """`SIDE_MM` of x and y around a voxel, moved into the volume where it would leave it."""
    sides = []
    for middle, length, side_mm in zip(voxel[:2], scan.space.shape[:2], scan.spacing_mm[:2], strict=True):
        wide = min(length, int(np.ceil(SIDE_MM / side_mm)))
        first = int(np.clip(middle - wide // 2, 0, length - wide))
        sides.append(slice(first, first + wide))
    return sides[0], sides[1]
