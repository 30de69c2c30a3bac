"""Pictures for the pages: axial slices with contours, thumbnails, charts.

Pictures are in the radiological convention: the patient's right is on the picture's left, the front is up. Arrays come
in RAS+ as everywhere, so both in-plane axes are turned here, once, in `_facing`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.types import Mask, Volume

FOUND, MISSED, FALSE = "found", "missed", "false"
MARGIN_MM = 6.0
JPEG_QUALITY = 82


@dataclass(frozen=True)
class Tile:
    """One axial slice: a JPEG, and contours as SVG paths in mm from the picture's upper left corner.

    `centre_mm` is the RAS place of the slice's middle voxel. `box` (width and height in mm) holds the picture.
    """

    index: int
    centre_mm: tuple[float, float, float]
    box: tuple[float, float]
    jpeg: bytes
    paths: Mapping[str, str]


def tiles(flair: Volume, brain: Mask, regions: Mapping[str, NDArray[np.bool_]], max_tiles: int = 24) -> list[Tile]:
    """Axial slices through what `regions` mark, from the top down, cropped to the brain.

    Parameters
    ----------
    regions
        Name -> boolean array (x, y, z); each becomes one contour of that name.
    max_tiles
        Slices are picked evenly over those that have something marked, the fullest first among neighbours; evenly
        over the brain where nothing is marked.
    """
    box = brain_box(brain, MARGIN_MM)
    window = display_window(flair, brain)
    marked = np.zeros(flair.array.shape, dtype=bool)
    for region in regions.values():
        marked |= region
    shown = {**regions, "brain": brain.array}
    return [_tile(flair, shown, box, window, index) for index in pick_slices(marked, brain.array, max_tiles)]


def pick_slices(marked: NDArray[np.bool_], brain: NDArray[np.bool_], max_tiles: int) -> list[int]:
    """Indices along z, descending: at most `max_tiles` slices, spread over those with something marked."""
    area = np.count_nonzero(marked, axis=(0, 1))
    if not area.any():
        area = np.count_nonzero(brain, axis=(0, 1))
        max_tiles = min(max_tiles, 12)
    candidates = np.flatnonzero(area)
    if candidates.size == 0:
        candidates, area = np.array([brain.shape[2] // 2]), np.ones(brain.shape[2], dtype=int)
    groups = np.array_split(candidates, min(max_tiles, candidates.size))
    return [int(group[np.argmax(area[group])]) for group in groups][::-1]


def thumbnail(flair: Volume, brain: Mask, mask: Mask, side: int = 132) -> bytes:
    """A WebP of the axial slice with the largest marked area, with the mask's outline, R and L drawn on it."""
    from PIL import Image, ImageDraw

    box = brain_box(brain, MARGIN_MM)
    area = np.count_nonzero(mask.array if mask.array.any() else brain.array, axis=(0, 1))
    k = int(np.argmax(area))
    grey = _grey(flair.array[box[0], box[1], k], display_window(flair, brain))
    found = mask.array[box[0], box[1], k]
    width_mm, height_mm = _box_mm(box, flair.space.spacing_mm)
    scale = side / max(width_mm, height_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    picture = Image.fromarray(_facing(grey)).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    partial = Image.fromarray((_facing(found) * 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    inside = np.asarray(partial) >= 128
    array = np.array(picture)
    array[_edge(inside)] = (255, 176, 0)
    picture = Image.fromarray(array)
    draw = ImageDraw.Draw(picture)
    for letter, x in (("R", 3), ("L", size[0] - 10)):
        draw.text((x, 1), letter, fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=72, method=4)
    return content.getvalue()


def display_window(flair: Volume, brain: Mask) -> tuple[float, float]:
    """Grey values shown as black and white: the 0.5th and 99.8th percentile of the brain."""
    inside = flair.array[brain.array]
    inside = inside[np.isfinite(inside)]
    if inside.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(inside[:: max(1, inside.size // 200_000)], (0.5, 99.8)))
    return (low, high) if high > low else (low, low + 1.0)


def brain_box(brain: Mask, margin_mm: float) -> tuple[slice, slice, slice]:
    """The smallest box that holds the brain and a margin; the whole grid where there is no brain."""
    slices = []
    for axis, spacing in enumerate(brain.space.spacing_mm):
        other = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(brain.array.any(axis=other))
        if used.size == 0:
            slices.append(slice(0, brain.array.shape[axis]))
            continue
        margin = int(np.ceil(margin_mm / spacing))
        slices.append(slice(max(0, int(used[0]) - margin), min(brain.array.shape[axis], int(used[-1]) + margin + 1)))
    return slices[0], slices[1], slices[2]


def new_figure(width_inches: float, height_inches: float) -> tuple[Any, Any]:
    """A matplotlib figure and its axes in the pages' style, without pyplot and its windows."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
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
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": label, "font.family": "sans-serif"}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    text = content.getvalue()
    text = text[text.index("<svg") :]
    return text.replace("<svg", f'<svg class="chart" role="img" aria-label="{escape(label)}"', 1)


def _tile(
    flair: Volume,
    regions: Mapping[str, NDArray[np.bool_]],
    box: tuple[slice, slice, slice],
    window: tuple[float, float],
    k: int,
) -> Tile:
    from PIL import Image

    content = io.BytesIO()
    picture = Image.fromarray(_facing(_grey(flair.array[box[0], box[1], k], window)))
    picture.save(content, "JPEG", quality=JPEG_QUALITY)
    spacing = flair.space.spacing_mm
    paths = {name: _path(_facing(region[box[0], box[1], k]), spacing) for name, region in regions.items()}
    middle = [(box[0].start + box[0].stop - 1) / 2, (box[1].start + box[1].stop - 1) / 2, k, 1]
    centre = flair.space.vox_to_ras @ np.array(middle, dtype=float)
    where = (float(centre[0]), float(centre[1]), float(centre[2]))
    return Tile(
        k, where, _box_mm(box, spacing), content.getvalue(), {name: path for name, path in paths.items() if path}
    )


def _facing(plane: NDArray) -> NDArray:
    """(x, y) in RAS+ -> (row, column) as one faces the patient from the feet: right is left, front is up."""
    return plane[::-1, ::-1].T


def _grey(plane: NDArray[np.float32], window: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = window
    scaled = np.clip((np.nan_to_num(plane, nan=low) - low) / (high - low), 0, 1)
    return np.ascontiguousarray(scaled * 255).astype(np.uint8)


def _box_mm(box: tuple[slice, ...], spacing_mm: Sequence[float]) -> tuple[float, float]:
    return (box[0].stop - box[0].start) * spacing_mm[0], (box[1].stop - box[1].start) * spacing_mm[1]


def _path(plane: NDArray[np.bool_], spacing_mm: Sequence[float]) -> str:
    """Contours of a boolean picture (row, column) as SVG path data in mm."""
    if not plane.any():
        return ""
    from contourpy import contour_generator

    padded = np.pad(plane, 1).astype(np.float32)
    parts = []
    for line in contour_generator(z=padded, name="serial").lines(0.5):
        # Padded index 1 is the first voxel, whose middle lies half a voxel inside the picture.
        points = (np.asarray(line) - 0.5) * (spacing_mm[0], spacing_mm[1])
        parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z")
    return "".join(parts)


def _edge(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    return ndimage.binary_dilation(inside) & ~inside
