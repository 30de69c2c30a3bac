"""One picture of one scan: what went in, the score, and what was found, missed and marked falsely.

Axial slices in radiological convention: seen from the feet, the patient's left is on the right of the picture. Colours
and dashes are those of `drawing.palette`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flairline.drawing.palette import MARKS, MASK, compared
from flairline.errors import GridError
from flairline.imaging.boxes import box_of_mm
from flairline.io.files import write_bytes
from flairline.types import BoolArray, Mask, Scan, Volume

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONVENTION = "Radiological convention: the patient's left (L) is on the right of the picture."
NO_SIDES = "Left and right are not known: the file's header says no orientation."
"""What is said instead of the convention."""
MIN_APART_MM = 8.0
"""Two slices of one picture are at least so far apart."""
MARGIN_MM = 6.0
"""Shown around the brain."""
WIDTH_INCHES = 2.6
"""Width of one slice."""
DPI = 100


Marked = Mapping[str, BoolArray]
"""Name in `MARKS` -> boolean array (x, y, z)."""
LEGEND = {MASK: "marked (there is no truth)"}
"""What the legend says instead of a mark's name."""


def write_overlay(
    path: Path, scan: Scan, score: Volume, mask: Mask, truth: Mask | None = None, title: str = "", slices: int = 4
) -> None:
    """Write one PNG with the axial slices through the largest lesions: input, score and comparison, a row each.

    Parameters
    ----------
    path
        Where to; written whole or not at all.
    scan, score, mask, truth
        On one grid. Lesions are those of the truth, then those of the mask; without any, slices are spread evenly
        over the brain.
    title
        Above the picture.
    slices
        At most so many columns, from top to bottom of the head.

    Raises
    ------
    GridError
        Score, mask or truth is not on the scan's grid.
    OutputError
        The file cannot be written.
    """
    for name, image in (("score", score), ("mask", mask), ("truth", truth)):
        if image is not None and not image.space.same_grid(scan.space):
            msg = (
                f"The {name} of {scan.subject} is not on the scan's grid: {image.space.describe()} against"
                f" {scan.space.describe()}. Resample it onto the scan."
            )
            raise GridError(msg)
    chosen = choose_slices(scan, mask, truth, slices)
    marks = compared(mask.array, None if truth is None else truth.array)
    content = io.BytesIO()
    # The same input gives the same bytes.
    _drawn(scan, score, marks, chosen, title).savefig(content, format="png", metadata={"Software": None})
    write_bytes(path, content.getvalue())


def overlay_figure(
    scan: Scan, score: Volume, mask: Mask, truth: Mask | None = None, title: str = "", slices: int = 4
) -> Figure:
    """The picture of `write_overlay` as a figure of matplotlib that belongs to no window."""
    marks = compared(mask.array, None if truth is None else truth.array)
    return _drawn(scan, score, marks, choose_slices(scan, mask, truth, slices), title)


def choose_slices(scan: Scan, mask: Mask, truth: Mask | None, count: int) -> list[int]:
    """Indices z of the slices to draw, the highest first.

    The largest component gives its widest slice, then the next one, and so on, those of the truth before those of the
    mask; a slice within `MIN_APART_MM` of another is passed over. What is left is spread evenly over the brain.
    """
    least_apart = max(1, round(MIN_APART_MM / scan.spacing_mm[2]))
    levels = np.flatnonzero(scan.brain.array.any(axis=(0, 1)))
    spread = np.quantile(levels, np.linspace(0.25, 0.85, count)).astype(int).tolist() if levels.size else []
    lesions = [z for image in (truth, mask) if image is not None for z in _widest_slices(image.array)]
    chosen: list[int] = []
    for z in lesions or spread:
        if len(chosen) < count and all(abs(z - other) >= least_apart for other in chosen):
            chosen.append(z)
    return sorted(chosen or [scan.space.shape[2] // 2], reverse=True)


def _widest_slices(array: BoolArray) -> list[int]:
    """For each 26-connected component, the largest first, the slice where it covers most."""
    from scipy import ndimage

    labels, count = ndimage.label(array, structure=np.ones((3, 3, 3)))
    per_slice = np.zeros((count + 1, array.shape[2]), dtype=np.int64)
    for z in range(array.shape[2]):
        per_slice[:, z] = np.bincount(labels[:, :, z].ravel(), minlength=count + 1)
    sizes = per_slice[1:].sum(axis=1)
    return per_slice[1:].argmax(axis=1)[np.argsort(-sizes, kind="stable")].tolist()


def _drawn(scan: Scan, score: Volume, marks: Marked, chosen: list[int], title: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    box = _box(scan)
    x_mm, y_mm = ((side.stop - side.start) * mm for side, mm in zip(box, scan.spacing_mm[:2], strict=True))
    head, foot = 0.62, 0.78  # inches for title and legend
    width, height = WIDTH_INCHES * len(chosen) + 0.3, 3 * WIDTH_INCHES * y_mm / x_mm + head + foot
    width = max(width, 5.6)  # the legend's lines need as much
    figure = Figure((width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        3, len(chosen), left=0.3 / width, right=0.995, top=1 - head / height, bottom=foot / height, wspace=0.02,
        hspace=0.02,
    )  # fmt: skip
    grey = display_range(scan)
    dim = {**grey, "vmax": 1.4 * grey["vmax"]}  # so that the colours stand out from bright tissue
    hot = {"cmap": "magma", "vmin": 0.0, "vmax": _top(score, scan.brain)}
    images = [
        (scan.flair.array, grey, "input"),
        (score.array, hot, "score"),
        (scan.flair.array, dim, "marked" if MASK in marks else "comparison"),
    ]
    heat = None
    for row, (array, look, name) in enumerate(images):
        for column, z in enumerate(chosen):
            axes = figure.add_subplot(grid[row, column])
            drawn = axes.imshow(_seen(array, box, z), origin="lower", aspect=voxel_aspect(scan), **look)
            heat = drawn if row == 1 else heat
            draw_letters(axes, scan.space.sides_known)
            if row == 0:
                axes.set_title(f"slice {z}, z = {_height_mm(scan, z):.0f} mm", fontsize=8, pad=2)
            if row == 2:
                draw_marks(axes, marks, box, z)
            if column == 0:
                axes.set_ylabel(name, fontsize=9)
    figure.suptitle(title or scan.subject, fontsize=10, y=1 - 0.12 / height, va="top")
    _legend(figure, heat, marks, width, height)
    words = CONVENTION if scan.space.sides_known else NO_SIDES
    figure.text(0.3 / width, 0.1 / height, words + " Research use only.", fontsize=7.5)
    return figure


def _box(scan: Scan) -> tuple[slice, slice]:
    """The part of x and y to show: the brain and a margin, or everything."""
    x, y, _ = box_of_mm(scan.brain.array, scan.spacing_mm, MARGIN_MM)
    return x, y


def _seen(array: NDArray[Any], box: tuple[slice, slice], z: int) -> NDArray[Any]:
    """The slice as matplotlib rows and columns: (x, y, z) -> (y, x), x turned round for radiological convention."""
    return array[box[0], box[1], z][::-1].T


def voxel_aspect(scan: Scan) -> float:
    """Height of a voxel over its width on screen."""
    return scan.spacing_mm[1] / scan.spacing_mm[0]


def _height_mm(scan: Scan, z: int) -> float:
    """RAS z of the middle of a slice; an oblique slice is not level, so this is its centre's."""
    centre = [(side - 1) / 2 for side in scan.space.shape[:2]]
    return float((scan.space.vox_to_ras @ [*centre, z, 1.0])[2])


def display_range(scan: Scan) -> dict[str, Any]:
    """Grey values from the brain's own range, without the few brightest voxels."""
    inside = scan.flair.array[scan.brain.array]
    low, high = np.percentile(inside, (0.5, 99.8)) if inside.size else (0.0, 1.0)
    return {"cmap": "gray", "vmin": min(low, 0.0) if low >= 0 else low, "vmax": 1.1 * high}


def _top(score: Volume, brain: Mask) -> float:
    """Upper end of the score's colours."""
    inside = score.array[brain.array]
    top = float(np.nanmax(inside)) if inside.size else 1.0
    return top if np.isfinite(top) and top > 0 else 1.0


def draw_letters(axes: Axes, sides_known: bool) -> None:
    """R and L where sides are known, and neither ticks nor frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    for letter, x in (("R", 0.03), ("L", 0.97)) if sides_known else ():
        axes.text(
            x, 0.97, letter, transform=axes.transAxes, color="white", fontsize=9, fontweight="bold", va="top",
            ha="left" if letter == "R" else "right",
        )  # fmt: skip


def draw_marks(axes: Axes, marks: Marked, box: tuple[slice, slice], z: int) -> None:
    """A light fill and a contour for each class that the slice has."""
    from matplotlib.colors import to_rgba

    columns_shown, rows_shown = (side.stop - side.start for side in box)
    for name, array in marks.items():
        kind, part = MARKS[name], _seen(array, box, z)
        if not part.any():
            continue
        fill = np.zeros((*part.shape, 4))
        fill[part] = to_rgba(kind.colour, 0.45)
        axes.imshow(fill, origin="lower", aspect=axes.get_aspect(), interpolation="nearest")
        padded = np.pad(part.astype(float), 1)  # so that a region at the border gets its contour closed
        columns, rows = np.arange(-1, part.shape[1] + 1), np.arange(-1, part.shape[0] + 1)
        axes.contour(columns, rows, padded, levels=[0.5], colors=kind.colour, linestyles=kind.dashes, linewidths=1.2)
    axes.set_xlim(-0.5, columns_shown - 0.5)
    axes.set_ylim(-0.5, rows_shown - 0.5)  # contours moved the limits


def _legend(figure: Any, heat: Any, marks: Marked, width: float, height: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        (Patch(facecolor=kind.colour, alpha=0.5), Line2D([], [], color=kind.colour, linestyle=kind.dashes))
        for kind in (MARKS[name] for name in marks)
    ]
    figure.legend(
        handles, [LEGEND.get(name, name) for name in marks],
        loc="lower left", bbox_to_anchor=(0.3 / width, 0.3 / height),
        ncol=len(marks), fontsize=9, frameon=False, facecolor="white", handlelength=2.6, borderpad=0.2,
    )  # fmt: skip
    bar = figure.add_axes((1 - 1.75 / width, 0.5 / height, 1.2 / width, 0.13 / height))
    figure.colorbar(heat, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=7, pad=1, length=2)
    bar.set_title("score", fontsize=8, pad=2)
