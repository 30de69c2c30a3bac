"""What is done to a whole score map before it is thresholded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.types import BoolArray


@dataclass(frozen=True)
class MapRule:
    """Steps on a score map, in this order; each is off by default.

    Baur et al. 2021 (their released code) do the first four: negative residuals away, eroded brain, hyper-intensity
    prior, median.

    Attributes
    ----------
    positive_only
        Negative scores become zero.
    erode_brain_voxels
        The score becomes zero in this many layers of the brain's rim, slice by slice (four neighbours in x and y).
        Lesions there stay in the truth and count as missed.
    prior_quantile
        The score becomes zero where the FLAIR is darker than this quantile of the whole volume, the background (zero)
        included.
    median_voxels
        Side of a three-dimensional median filter (`apply` says when it is one of slices); 0: none.
    label_free_quantile
        The score becomes 1 where it reaches this quantile of the brain and 0 elsewhere: a threshold without labels.
    """

    positive_only: bool = False
    erode_brain_voxels: int = 0
    prior_quantile: float | None = None
    median_voxels: int = 0
    label_free_quantile: float | None = None

    def apply(
        self, score: NDArray[np.float32], flair: NDArray[np.float32], brain: BoolArray, *, in_plane: bool = False
    ) -> NDArray[np.float32]:
        """The score (x, y, z) after all steps; `flair` and `brain` are on the same grid.

        With `in_plane` the median is one of each axial slice: there are scores in some slices only.
        """
        if self.positive_only:
            score = np.maximum(score, np.float32(0))
        if self.erode_brain_voxels:
            score = np.where(eroded_in_plane(brain, self.erode_brain_voxels), score, np.float32(0))
        if self.prior_quantile is not None:
            stripped = np.where(brain, flair, np.float32(0))
            score = np.where(stripped < np.quantile(stripped, self.prior_quantile), np.float32(0), score)
        if self.median_voxels:
            side = self.median_voxels
            score = ndimage.median_filter(score, size=(side, side, 1 if in_plane else side))
        if self.label_free_quantile is not None and brain.any():
            value = np.quantile(score[brain], self.label_free_quantile, method="higher")
            score = ((score >= value) & brain).astype(np.float32)
        return score


def eroded_in_plane(brain: BoolArray, layers: int) -> BoolArray:
    """The brain (x, y, z) without its outer layers in each axial slice."""
    cross = ndimage.generate_binary_structure(2, 1)[:, :, np.newaxis]  # neighbours in x and y only
    return ndimage.binary_erosion(brain, cross, iterations=layers)
