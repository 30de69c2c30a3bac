"""Pictures of a scan: axial slices with contours, a thumbnail, and the three planes beside an atlas.

Pictures are in the radiological convention: the patient's right is on the picture's left, the front is up. Arrays come
in RAS+ as everywhere, so both in-plane axes are turned here, once, in `_facing`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.drawing.palette import MARKS
from flairline.imaging.boxes import box_of_mm
from flairline.types import Mask, Volume

MARGIN_MM = 6.0
JPEG_QUALITY = 82
MAX_TILES_BYTES = 650_000
"""What all slices of a page may weigh before base64; fewer are shown where contours are many."""


@dataclass(frozen=True)
class Tile:
    """One axial slice: a JPEG, and contours as SVG paths in half voxels from the picture's upper left corner.

    `centre_mm` is the RAS place of the slice's middle voxel. `box` (width and height in mm) holds the picture, and
    `transform` leads from half voxels to its mm.
    """

    index: int
    centre_mm: tuple[float, float, float]
    box: tuple[float, float]
    jpeg: bytes
    paths: Mapping[str, str]
    transform: str


@dataclass(frozen=True)
class Plane:
    """One plane of scan and atlas as two JPEGs of the same box, and the brain's outline as in a `Tile`.

    `letters` stand at the left and right border; they are empty where they would name a side that is not known.
    """

    name: str
    letters: tuple[str, str]
    box: tuple[float, float]
    scan: bytes
    atlas: bytes
    path: str
    transform: str


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
    while True:
        found = [_tile(flair, shown, box, window, index) for index in pick_slices(marked, brain.array, max_tiles)]
        weight = sum(len(tile.jpeg) + sum(map(len, tile.paths.values())) for tile in found)
        if weight <= MAX_TILES_BYTES or max_tiles <= 4:
            return found
        max_tiles = max(4, min(max_tiles - 1, int(len(found) * MAX_TILES_BYTES / weight)))


def tiles_at(
    flair: Volume, brain: Mask, regions: Mapping[str, NDArray[np.bool_]], indices: Sequence[int]
) -> list[Tile]:
    """As `tiles`, of these slices along z, cropped to `brain`: two images on one grid get pictures of one size."""
    box, window = brain_box(brain, MARGIN_MM), display_window(flair, brain)
    return [_tile(flair, regions, box, window, index) for index in indices]


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


def thumbnail(
    flair: Volume, brain: Mask, regions: Mapping[str, NDArray[np.bool_]], side: int = 120, quality: int = 68
) -> bytes:
    """A WebP of the axial slice with the largest marked area, with outlines, and R and L where sides are known.

    `regions` is name -> boolean array (x, y, z), the names being those of `palette.MARKS`.
    """
    from PIL import Image, ImageDraw

    box = brain_box(brain, MARGIN_MM)
    marked = np.logical_or.reduce([np.zeros(brain.array.shape, dtype=bool), *regions.values()])
    k = int(np.argmax(np.count_nonzero(marked if marked.any() else brain.array, axis=(0, 1))))
    width_mm, height_mm = _box_mm(box, flair.space.spacing_mm)
    scale = side / max(width_mm, height_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    grey = _grey(flair.array[box[0], box[1], k], display_window(flair, brain))
    picture = Image.fromarray(_facing(grey)).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    pixels = np.array(picture)
    for name, region in regions.items():
        full = Image.fromarray((_facing(region[box[0], box[1], k]) * 255).astype(np.uint8))
        inside = np.asarray(full.resize(size, Image.Resampling.BILINEAR)) >= 128
        pixels[_edge(inside)] = MARKS[name].rgb
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for letter, x in (("R", 3), ("L", size[0] - 9)) if flair.space.sides_known else ():
        draw.text((x, 1), letter, fill=(255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))
    content = io.BytesIO()
    picture.save(content, "WEBP", quality=quality, method=4)
    return content.getvalue()


def planes(flair: Volume, brain: Mask, atlas: Volume) -> list[Plane]:
    """Axial, coronal and sagittal plane through the brain's middle, of a scan and an atlas on the same grid."""
    box = brain_box(brain, MARGIN_MM)
    windows = (display_window(flair, brain), display_window(atlas, brain))
    found = []
    sides = ("R", "L") if flair.space.sides_known else ("", "")
    for name, axis, letters in (("Axial", 2, sides), ("Coronal", 1, sides), ("Sagittal", 0, ("A", "P"))):
        middle = (box[axis].start + box[axis].stop) // 2
        # The two axes that are left keep their order, so a picture is (x, y), (x, z) or (y, z), each turned alike.
        cut = tuple(middle if a == axis else box[a] for a in range(3))
        spacing = [side for a, side in enumerate(flair.space.spacing_mm) if a != axis]
        width, height = (box[a].stop - box[a].start for a in range(3) if a != axis)
        found.append(
            Plane(
                name=name,
                letters=letters,
                box=(width * spacing[0], height * spacing[1]),
                scan=_jpeg(flair.array[cut], windows[0]),
                atlas=_jpeg(atlas.array[cut], windows[1]),
                path=_path(_facing(brain.array[cut])),
                transform=f"scale({spacing[0] / 2:.5g} {spacing[1] / 2:.5g})",
            )
        )
    return found


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
    return box_of_mm(brain.array, brain.space.spacing_mm, margin_mm)


def _tile(
    flair: Volume,
    regions: Mapping[str, NDArray[np.bool_]],
    box: tuple[slice, slice, slice],
    window: tuple[float, float],
    k: int,
) -> Tile:
    spacing = flair.space.spacing_mm
    middle = [(box[0].start + box[0].stop - 1) / 2, (box[1].start + box[1].stop - 1) / 2, k, 1]
    centre = flair.space.vox_to_ras @ np.array(middle, dtype=float)
    paths = {name: _path(_facing(region[box[0], box[1], k])) for name, region in regions.items()}
    return Tile(
        index=k,
        centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        box=_box_mm(box, spacing),
        jpeg=_jpeg(flair.array[box[0], box[1], k], window),
        paths={name: path for name, path in paths.items() if path},
        transform=f"scale({spacing[0] / 2:.5g} {spacing[1] / 2:.5g})",
    )


def _jpeg(plane: NDArray[np.float32], window: tuple[float, float]) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(_facing(_grey(plane, window))).save(content, "JPEG", quality=JPEG_QUALITY)
    return content.getvalue()


def _facing(plane: NDArray) -> NDArray:
    """Two RAS+ axes -> (row, column), both reversed: seen from the feet, the patient's right is left, front is up.

    A coronal (x, z) plane turns the same way, and a sagittal (y, z) one has the front on the left.
    """
    return plane[::-1, ::-1].T


def _grey(plane: NDArray[np.float32], window: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = window
    scaled = np.clip((np.nan_to_num(plane, nan=low) - low) / (high - low), 0, 1)
    return np.ascontiguousarray(scaled * 255).astype(np.uint8)


def _box_mm(box: tuple[slice, ...], spacing_mm: Sequence[float]) -> tuple[float, float]:
    return (box[0].stop - box[0].start) * spacing_mm[0], (box[1].stop - box[1].start) * spacing_mm[1]


def _path(plane: NDArray[np.bool_]) -> str:
    """Contours of a boolean picture (row, column) as SVG path data in half voxels from its upper left corner."""
    if not plane.any():
        return ""
    from contourpy import contour_generator

    padded = np.pad(plane, 1).astype(np.float32)
    parts = []
    for line in contour_generator(z=padded, name="serial").lines(0.5):
        # Padded index 1 is the first voxel, whose middle lies half a voxel inside the picture. A contour at one half
        # between two voxels has whole numbers of half voxels, which relative steps write shortly.
        points = np.rint(np.asarray(line) * 2 - 1).astype(int)
        steps = np.diff(points[:-1], axis=0)
        parts.append(f"m{points[0, 0]} {points[0, 1]}l" + " ".join(f"{x} {y}" for x, y in steps) + "z")
    # A relative move after z starts from that contour's beginning; absolute ones are safer to read back.
    return "".join(part.replace("m", "M", 1) for part in parts)


def _edge(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    return ndimage.binary_dilation(inside) & ~inside
