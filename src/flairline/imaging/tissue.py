"""The scan's own normal tissue: where its histogram peaks and how wide the peak is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.smoothing import SD_PER_FULL_WIDTH, smooth_inside
from flairline.types import BoolArray

BINS = 512
SMOOTHING_SHARE = 0.02
"""Width (standard deviation) of the histogram's smoothing, as a share of the range between its tails."""
TAIL = 0.005
"""Share of voxels at either end that does not set the histogram's range: lesions, vessels, residual skull."""
FLOOR = 0.05
"""More of the brain than this at its one lowest value was cut off there, and is no tissue."""
NEAR_MODE = (3.0, 2.0, 2.0)
"""What lies within so many half-widths of the mode tells how bright normal tissue is around it; one number a round:
once a field is known, what is left of it is asked for."""
FIELD_STEP_MM = 4.0
"""A smooth field is estimated on voxels about so far apart."""
LEAST_TISSUE = 0.01
"""Where less of the window is normal tissue, the field fades to nothing: there is nobody to ask."""


@dataclass(frozen=True)
class NormalTissue:
    """Mode of the brain's histogram and its half-width, as a standard deviation, in the scan's own units."""

    mode: float
    width: float

    def z(self, array: NDArray[np.floating]) -> NDArray[np.float32]:
        """Distance from the mode in half-widths."""
        return ((array - self.mode) / self.width).astype(np.float32)


def normal_tissue(values: NDArray[np.floating]) -> NormalTissue:
    """Mode and width of the highest peak of a smoothed histogram.

    Grey and white matter of a FLAIR lie close and together hold most of the brain, so the peak is theirs whatever the
    scale of the scan (also z-scored, also negative), and neither a lesion of a quarter of the brain nor CSF moves it.

    Parameters
    ----------
    values
        Intensities of the brain's voxels, any shape.

    Returns
    -------
    NormalTissue
        The width is the full width at half maximum over 2.355. A brain of few distinct values falls back on the
        median and the standard deviation.

    Notes
    -----
    A scan that was cut off below has its fluid in one value, a peak higher than tissue's. Where more than `FLOOR` of
    the brain, and less than half, is at its lowest value, that value is left out.
    """
    lowest = values == values.min()
    if FLOOR < np.mean(lowest) < 0.5:
        values = values[~lowest]
    low, high = np.quantile(values, (TAIL, 1 - TAIL))
    if not high > low:
        return NormalTissue(float(np.median(values)), float(max(np.std(values), np.finfo(np.float32).tiny)))
    counts, edges = np.histogram(values, bins=BINS, range=(low, high))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), SMOOTHING_SHARE * BINS, mode="constant")
    centres = (edges[:-1] + edges[1:]) / 2
    peak = int(smooth.argmax())
    above = smooth >= smooth[peak] / 2
    first = peak - int(np.argmin(above[peak::-1])) if not above[: peak + 1].all() else 0
    last = peak + int(np.argmin(above[peak:])) if not above[peak:].all() else BINS - 1
    width = float(centres[last] - centres[first]) * SD_PER_FULL_WIDTH
    return NormalTissue(float(centres[peak]), float(max(width, (high - low) / BINS)))


def levelled(
    image: NDArray[np.floating], tissue: BoolArray, spacing_mm: Sequence[float], window_mm: float
) -> NDArray[np.float32]:
    """An image whose normal tissue is equally bright everywhere: what a coil's field added or took is taken away.

    The field is the mean, in a Gaussian window, of how far tissue near the histogram's mode lies from it. Lesions and
    fluid lie far from the mode and have no say.

    Parameters
    ----------
    image, tissue
        (x, y, z); `tissue` holds the voxels whose histogram is asked.
    spacing_mm
        Sides of a voxel.
    window_mm
        Standard deviation of the window. A lesion as large as that leaves too little normal tissue to ask, and the
        field is what lies around it.
    """
    step = [max(1, round(FIELD_STEP_MM / side)) for side in spacing_mm]
    coarse = tuple(slice(None, None, stride) for stride in step)
    sigma = window_mm / (np.array(spacing_mm) * step)
    rest = image.astype(np.float32)
    for widths in NEAR_MODE:
        normal = normal_tissue(rest[tissue])
        near = (tissue & (np.abs(normal.z(rest)) <= widths))[coarse]
        sparse = smooth_inside(rest[coarse] - np.float32(normal.mode), near, sigma, LEAST_TISSUE)
        rest -= ndimage.affine_transform(sparse, 1 / np.array(step), output_shape=rest.shape, order=1, mode="nearest")
    return rest
