"""The scan's own normal tissue: where its histogram peaks and how wide the peak is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BINS = 512
SMOOTHING_SHARE = 0.02
"""Width (standard deviation) of the histogram's smoothing, as a share of the range between its tails."""
TAIL = 0.005
"""Share of voxels at either end that does not set the histogram's range: lesions, vessels, residual skull."""
SD_PER_FULL_WIDTH = 1.0 / 2.3548
"""Standard deviation of a normal curve over its full width at half maximum."""


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
        median and the interquartile range.
    """
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
