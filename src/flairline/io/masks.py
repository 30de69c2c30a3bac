"""Which voxels of a file are set: of whole numbers those above zero, of fractions those from one half."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flairline.errors import ImageError

HALF = 0.5
"""A voxel of which at least this share is lesion (or brain) counts as such."""


def has_fractions(values: NDArray) -> bool:
    """Whether values are shares of voxels: neither whole numbers nor one value beside zero. NaN counts as zero."""
    if not np.issubdtype(values.dtype, np.floating):
        return False
    odd = values[(np.rint(values) != values) & ~np.isnan(values)]
    if odd.size == 0:
        return False
    # A mask scaled by its header (0 and .0039, say) has but one value beside zero.
    return bool(odd.min() != odd.max() or ((values != odd[0]) & (values != 0) & ~np.isnan(values)).any())


def marked(values: NDArray, name: str) -> NDArray[np.bool_]:
    """The voxels that a mask or truth sets (x, y, z).

    Raises
    ------
    ImageError
        It has fractions that are no shares of voxels: none reaches one half, or some are far below zero.
    """
    if not has_fractions(values):
        return np.asarray(values > 0)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if high < HALF or low < -HALF:
        msg = (
            f"Wanted a mask (0 and 1, or shares of voxels), but {name} has fractions from {low:.3g} to {high:.3g}."
            " Give the mask as it was drawn, or resample it with nearest neighbours."
        )
        raise ImageError(msg)
    return np.asarray(values >= HALF)
