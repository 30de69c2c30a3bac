"""Where the brain is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flairline.errors import BrainError
from flairline.types import Mask, Volume

MIN_BACKGROUND_SHARE = 0.5
"""A stripped scan has one value over most of its border; a scan with a head in it does not reach this share."""


def background_value(array: NDArray[np.floating]) -> float:
    """The constant at the volume's border (NaN counts as one), NaN if no value holds `MIN_BACKGROUND_SHARE` of it."""
    border = np.concatenate([array[side].ravel() for side in _faces()])
    finite = border[~np.isnan(border)]
    if finite.size < border.size * (1 - MIN_BACKGROUND_SHARE):
        return float("nan")
    values, counts = np.unique(finite, return_counts=True)
    return float(values[counts.argmax()]) if counts.max() >= MIN_BACKGROUND_SHARE * border.size else float("nan")


def brain_from_background(volume: Volume, name: str = "the scan") -> Mask:
    """The voxels that differ from the background, which is the constant at the volume's border or NaN.

    A z-scored scan is not zero outside the brain, and a stripped one may have negative values inside it, so neither
    `> 0` nor `!= 0` would do.

    Raises
    ------
    BrainError
        There is no constant background (the skull is still on), nothing differs from it, or a voxel is infinite.
    """
    array = volume.array
    border_is_nan = np.mean([np.isnan(array[side]).mean() for side in _faces()]) >= MIN_BACKGROUND_SHARE
    value = background_value(array)
    if np.isnan(value) and not border_is_nan:
        msg = (
            f"Wanted a skull-stripped scan, but the border of {name} has no constant background."
            " Give the brain as a file (--brain brain.nii.gz)."
        )
        raise BrainError(msg)
    brain = ~np.isnan(array) & (array != value)
    check_brain(volume, Mask(brain, volume.space), name)
    return Mask(brain, volume.space)


def check_brain(volume: Volume, brain: Mask, name: str = "the scan") -> None:
    """Refuse a brain that is empty or constant, or that has NaN or infinite voxels.

    Raises
    ------
    BrainError
        With the figures.
    """
    inside = volume.array[brain.array]
    if inside.size == 0:
        msg = f"The brain of {name} is empty (0 voxels). Check the file and the brain mask."
        raise BrainError(msg)
    bad = int(np.count_nonzero(~np.isfinite(inside)))
    if bad:
        msg = f"{name} has {bad} NaN or infinite voxels inside the brain. Repair the scan or the mask."
        raise BrainError(msg)
    if inside.min() == inside.max():
        msg = f"All {inside.size} brain voxels of {name} have the value {inside.min():g}: nothing can be seen."
        raise BrainError(msg)


def _faces() -> list[tuple]:
    """The six faces of a volume as index tuples."""
    everything = slice(None)
    return [tuple(end if axis == side else everything for axis in range(3)) for side in range(3) for end in (0, -1)]
