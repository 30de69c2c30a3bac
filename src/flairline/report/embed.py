"""Volumes for a page's viewer: cropped to the brain, as uint8, gzipped, resampled where they would be too large.

The score is stored as codes: 0 is "below the slider's range", and the edges between codes are laid so that the
threshold itself is one of them; `code >= threshold_code` is then exactly `score >= threshold`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from numpy.typing import NDArray

from flairline.drawing.mosaic import brain_box, display_window
from flairline.imaging.resample import resample_volume
from flairline.report.pages import ScanPage
from flairline.types import Space, Volume

MASK_BIT, TRUTH_BIT, BRAIN_BIT = 1, 2, 4
MARGIN_MM = 8.0
RANGE_QUANTILE = 0.75
"""The slider starts at this quantile of the brain's scores (or below the threshold, if that is lower)."""
CODES_BELOW = 127
"""How many of the 255 codes lie below the threshold."""


@dataclass(frozen=True)
class Embedded:
    """What the viewer reads: gzipped bytes as base64, and what they mean.

    `flair` is a NIfTI file, `codes` and `bits` are bare uint8 arrays in its order (x fastest). `edges[c]` is the least
    score of code c. `words` say how the volumes differ from the scan's own grid, empty where they do not.
    """

    flair: str
    codes: str
    bits: str
    edges: list[float]
    threshold_code: int
    voxel_ml: float
    words: str

    @property
    def size(self) -> int:
        """Characters that the volumes take in the page."""
        return len(self.flair) + len(self.codes) + len(self.bits)


def embed(page: ScanPage, max_characters: int) -> Embedded:
    """Pack a page's volumes into at most `max_characters`, in the steps of the module's first line."""
    spacing = np.array(page.scan.spacing_mm)
    cropped = _crop(page)
    packed = _pack(page, *cropped, "")
    finest = float(spacing.min())
    while packed.size > max_characters:
        # Bytes go with the number of voxels, and only axes finer than the goal lose some.
        finest *= max(1.08, (packed.size / max_characters) ** (1 / 3))
        coarse = np.maximum(spacing, finest)
        shown = " × ".join(f"{side:.2g}" for side in coarse)
        words = f"To keep this file small, the viewer shows the scan resampled to {shown} mm."
        packed = _pack(page, *_coarsen(cropped, coarse), words)
    return packed


def score_edges(score: NDArray[np.floating], threshold: float) -> tuple[NDArray[np.float64], int]:
    """Least score of each code 0 ... 255, and the code that begins at the threshold.

    `score` holds the brain's values. The codes below the threshold and those from it upwards are evenly spaced each.
    """
    finite = score[np.isfinite(score)]
    if finite.size == 0:
        finite = np.array([0.0, 1.0])
    low, high = float(np.quantile(finite, RANGE_QUANTILE)), float(finite.max())
    high = max(high, threshold)
    if low >= threshold:
        low = min(float(np.quantile(finite, RANGE_QUANTILE / 2)), threshold - 0.25 * (high - threshold))
    if low >= threshold:
        low = threshold - max(abs(threshold), 1.0) * 0.25
    below = np.linspace(low, threshold, CODES_BELOW, endpoint=False)
    above = np.linspace(threshold, high, 255 - CODES_BELOW + 1)[:-1] if high > threshold else np.full(128, threshold)
    return np.concatenate([[-np.inf], below, above]), CODES_BELOW + 1


def _crop(page: ScanPage) -> tuple[Space, NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Grid, FLAIR, score and bits inside the brain's box."""
    box = brain_box(page.scan.brain, MARGIN_MM)
    bits = page.scan.brain.array[box] * np.uint8(BRAIN_BIT) + page.mask.array[box] * np.uint8(MASK_BIT)
    if page.truth is not None:
        bits = bits + page.truth.array[box] * np.uint8(TRUTH_BIT)
    vox_to_ras = page.scan.space.vox_to_ras.copy()
    vox_to_ras[:3, 3] += vox_to_ras[:3, :3] @ np.array([part.start for part in box], dtype=float)
    space = Space(bits.shape, vox_to_ras, page.scan.space.name)
    return space, page.scan.flair.array[box], page.score.array[box], bits.astype(np.uint8)


def _coarsen(
    cropped: tuple[Space, NDArray[Any], NDArray[Any], NDArray[Any]], spacing_mm: NDArray[np.float64]
) -> tuple[Space, NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The same field of view with larger voxels; a coarse voxel is marked if any voxel around its middle was."""
    from scipy import ndimage

    space, flair, score, bits = cropped
    ratio = spacing_mm / np.array(space.spacing_mm)
    shape = np.maximum(1, np.round(np.array(space.shape) / ratio)).astype(int)
    scale = np.array(space.shape) / shape
    vox_to_ras = space.vox_to_ras @ np.diag([*scale, 1.0])
    # The outer faces of both grids coincide, so the first middle moves by half the difference of the voxels' sides.
    vox_to_ras[:3, 3] = (space.vox_to_ras @ np.array([*((scale - 1) / 2), 1.0]))[:3]
    onto = Space((int(shape[0]), int(shape[1]), int(shape[2])), vox_to_ras, space.name)
    sides = [int(np.ceil(side)) for side in scale]
    index = np.ix_(
        *[
            np.minimum((np.arange(n) + 0.5) * s, m - 1).astype(int)
            for n, s, m in zip(shape, scale, space.shape, strict=True)
        ]
    )
    packed = np.zeros(onto.shape, dtype=np.uint8)
    for bit in (MASK_BIT, TRUTH_BIT, BRAIN_BIT):
        there = ((bits & bit) > 0).astype(np.uint8)
        spread = ndimage.maximum_filter(there, size=sides) if bit != BRAIN_BIT else there
        packed |= spread[index] * np.uint8(bit)
    smooth = [max(0.0, (side - 1) / 2.355) for side in scale]
    filtered = ndimage.gaussian_filter(np.nan_to_num(flair), smooth)
    coarse_flair = resample_volume(Volume(filtered.astype(np.float32), space), onto).array
    coarse_score = resample_volume(Volume(np.nan_to_num(score).astype(np.float32), space), onto).array
    return onto, coarse_flair, coarse_score, packed


def _pack(
    page: ScanPage, space: Space, flair: NDArray[Any], score: NDArray[Any], bits: NDArray[np.uint8], words: str
) -> Embedded:
    low, high = display_window(page.scan.flair, page.scan.brain)
    scaled = np.clip((np.nan_to_num(flair, nan=low) - low) / (high - low), 0, 1) * 255
    image = nib.Nifti1Image(np.asfortranarray(np.round(scaled).astype(np.uint8)), space.vox_to_ras)
    image.header.set_xyzt_units("mm")
    image.set_sform(space.vox_to_ras, code=1)
    image.set_qform(space.vox_to_ras, code=0)
    edges, threshold_code = score_edges(page.score.array[page.scan.brain.array], page.threshold.value)
    inside = (bits & BRAIN_BIT) > 0
    codes = np.zeros(bits.shape, dtype=np.uint8)
    codes[inside] = np.searchsorted(edges, np.nan_to_num(score[inside], nan=-np.inf), side="right") - 1
    return Embedded(
        flair=_text(image.to_bytes()),
        codes=_text(codes.tobytes(order="F")),
        bits=_text(bits.tobytes(order="F")),
        edges=[float(edge) for edge in edges[1:]],
        threshold_code=threshold_code,
        voxel_ml=space.voxel_ml,
        words=words,
    )


def _text(content: bytes) -> str:
    return base64.b64encode(igzip.compress(content, compresslevel=3, mtime=0)).decode()
