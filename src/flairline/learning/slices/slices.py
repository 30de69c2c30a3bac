"""Axial slices of one size, pixel side and intensity range, as slice-wise methods see a scan, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.boxes import box_of
from flairline.imaging.equalise import empirical_cdf
from flairline.imaging.tissue import normal_tissue
from flairline.types import BoolArray, FloatArray, Scan

FIELD_OF_VIEW_MM = 240.0
"""Side of the SRI24 grid: 128 pixels of it are 1.875 mm wide, as in Baur et al. 2021."""
HIGH_QUANTILE, LOW_QUANTILE = 0.998, 0.002
SAME_PIXEL = 1e-3
"""A grid whose pixels differ by less than this share is cut out as it is, without interpolation."""
TISSUE_WIDTHS = 10.0
"""`tissue` maps the mode of the brain's histogram to .4 and one half-width to one tenth."""

Intensity = Literal["unit", "equalised", "tissue"]


@dataclass(frozen=True)
class SliceGrid:
    """How slices are made.

    Attributes
    ----------
    size
        Side in pixels; the pixels are `FIELD_OF_VIEW_MM` / size wide.
    intensity
        "unit": from the brain's .2 % quantile to its 99.8 % quantile, clipped to [0, 1] (Baur et al. 2021 take 0 and
        the 99.8 % quantile of the whole volume; scans that were z-scored need the lower end). "equalised": the
        brain's empirical CDF. "tissue": by the mode and width of the scan's own normal tissue.
    min_brain_share
        Slices with less brain than this are not learned from.
    """

    size: int = 128
    intensity: Intensity = "unit"
    min_brain_share: float = 0.02

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or self.size < 1 or self.intensity not in get_args(Intensity):
            msg = f"no slices of size {self.size!r} and intensity {self.intensity!r}"
            raise ValueError(msg)

    @property
    def pixel_mm(self) -> float:
        """Side of a pixel."""
        return FIELD_OF_VIEW_MM / self.size


@dataclass(frozen=True)
class Slices:
    """The slices of a scan that hold brain.

    `images` (n, size, size) are float32 in [0, 1] and 0 outside the brain, `brains` are boolean; both axes as the
    scan's x and y. `indices` (n,) are the slices' places along z. Pixel p lies at voxel `offset` + `step` * p.
    """

    images: FloatArray
    brains: BoolArray
    indices: NDArray[np.int64]
    step: tuple[float, float]
    offset: tuple[float, float]


def to_slices(scan: Scan, grid: SliceGrid) -> Slices:
    """Cut a scan's brain into axial slices, centred on the brain, by linear interpolation in the plane."""
    brain = scan.brain.array
    indices = np.flatnonzero(brain.any(axis=(0, 1)))
    step, offset = _geometry(brain, scan.spacing_mm, grid)
    image = np.where(brain, scaled_intensities(scan.flair.array, brain, grid.intensity), np.float32(0))
    images = _sampled(image[:, :, indices], step, offset, grid.size)
    brains = _sampled(brain[:, :, indices].astype(np.float32), step, offset, grid.size) >= 0.5
    images = np.where(brains, np.clip(images, 0, 1), np.float32(0))
    return Slices(np.moveaxis(images, 2, 0).copy(), np.moveaxis(brains, 2, 0).copy(), indices, step, offset)


def from_slices(values: NDArray[np.floating], slices: Slices, scan: Scan) -> FloatArray:
    """Values (n, size, size) of a scan's slices on the scan's own grid (x, y, z), zero outside its brain."""
    volume = np.zeros(scan.space.shape, dtype=np.float32)
    if len(slices.indices):
        inverse = tuple(1 / step for step in slices.step)
        back = tuple(-offset / step for offset, step in zip(slices.offset, slices.step, strict=True))
        stack = np.moveaxis(np.asarray(values, dtype=np.float32), 0, 2)
        volume[:, :, slices.indices] = _affine(stack, inverse, back, volume.shape[:2])
    volume[~scan.brain.array] = 0
    return volume


def to_unit(array: FloatArray, brain: BoolArray) -> FloatArray:
    """An image from the brain's .2 % quantile to its 99.8 % quantile, clipped to [0, 1]."""
    low, high = np.quantile(array[brain], (LOW_QUANTILE, HIGH_QUANTILE))
    scale = high - low if high > low else 1.0
    return np.clip((array - low) / scale, 0, 1).astype(np.float32)


def _geometry(
    brain: BoolArray, spacing_mm: tuple[float, float, float], grid: SliceGrid
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Step and offset in voxels along x and y."""
    steps, offsets = [], []
    for axis, side in enumerate(box_of(brain)[:2]):
        middle, extent = (side.start + side.stop - 1) / 2, (side.stop - side.start) * spacing_mm[axis]
        # A brain mask that is wider than the field of view (neck, a wrong mask) is still seen whole.
        step = max(grid.pixel_mm, extent / grid.size) / spacing_mm[axis]
        offset = middle - step * (grid.size - 1) / 2
        if abs(step - 1) < SAME_PIXEL:
            step, offset = 1.0, float(np.floor(offset + 0.5))
        steps.append(step)
        offsets.append(offset)
    return (steps[0], steps[1]), (offsets[0], offsets[1])


def scaled_intensities(array: FloatArray, brain: BoolArray, how: Intensity) -> FloatArray:
    """An image in [0, 1] by its own brain, as `SliceGrid` names the ways; outside the brain it means nothing."""
    values = array[brain]
    if how == "equalised":
        equalised = np.zeros_like(array)
        equalised[brain] = empirical_cdf(values)
        return equalised
    if how == "tissue":
        return np.clip(0.4 + normal_tissue(values).z(array) / TISSUE_WIDTHS, 0, 1)
    return to_unit(array, brain)


def _sampled(
    volume: FloatArray, step: tuple[float, float], offset: tuple[float, float], size: int
) -> NDArray[np.float32]:
    # Larger pixels than the scan's: smooth first, so that what lies between them is not skipped.
    sigma = [0.4 * (voxels - 1) if voxels > 1 else 0.0 for voxels in step]
    if any(sigma):
        volume = ndimage.gaussian_filter(volume, [*sigma, 0], mode="constant")
    return _affine(volume, step, offset, (size, size))


def _affine(
    volume: NDArray[np.float32], step: tuple[float, ...], offset: tuple[float, ...], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    full = (*shape, volume.shape[2])
    return ndimage.affine_transform(volume, [*step, 1.0], [*offset, 0.0], full, order=1, mode="constant")
