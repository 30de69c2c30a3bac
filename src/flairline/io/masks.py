"""Which voxels of a file are set: of whole numbers those above zero, of shares of voxels those from one half.

Shares are written as fractions, in percent, or as bytes from 0 to 255.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flairline.errors import ImageError

HALF = 0.5
"""A voxel of which at least this share is lesion (or brain) counts as such."""
UNITS = (100, 255)
"""What a whole voxel has where shares are written in percent or as bytes."""
FEWEST_SHARES = 5
"""Fewer values than these are labels, whatever they are."""


def has_fractions(values: NDArray) -> bool:
    """Whether values are shares of voxels: neither whole numbers nor one value beside zero. NaN counts as zero."""
    if not np.issubdtype(values.dtype, np.floating):
        return False
    odd = values[(np.rint(values) != values) & ~np.isnan(values)]
    if odd.size == 0:
        return False
    # A mask scaled by its header (0 and .0039, say) has but one value beside zero.
    return bool(odd.min() != odd.max() or ((values != odd[0]) & (values != 0) & ~np.isnan(values)).any())


def share_unit(values: NDArray) -> int:
    """What a whole voxel has where values are shares of voxels: 1, 100 or 255; 0 where they are labels.

    In percent or as bytes they are several values up to the whole, and the whole is the most frequent beside zero: a
    mask's inside outweighs each step of its edge, while of labels the highest has no reason to be the most frequent.
    """
    fractions = has_fractions(values)
    high = float(np.nanmax(values, initial=0))
    for unit in UNITS:
        # A spline leaves a little more than the whole.
        if high != unit and not (fractions and 0.9 * unit <= high <= 1.25 * unit):
            continue
        # Of fractions, tenths of the upper half: a spline scatters all values a little.
        beside = values[values >= HALF * unit] / unit * 10 if fractions else values[values > 0]
        counts = np.bincount(np.rint(beside).astype(np.int64))
        whole = 10 if fractions else unit
        if np.unique(values).size > FEWEST_SHARES and int(counts.argmax()) == whole:
            return unit
    return int(fractions)


def marking_note(values: NDArray, what: str) -> str:
    """What was decided of values that are no labels from zero on, in words; empty where all are.

    That is of shares of voxels, of values below zero, and of voxels without a value. `what` says what a voxel is that
    is set.
    """
    values = np.asarray(values)
    nameless = 0 if is_finite(values) else int((~np.isfinite(values)).sum())
    values = finite(values)
    notes, unit = [], share_unit(values)
    if unit:
        has = "fractions" if unit == 1 else f"shares of {unit}"
        notes.append(f"It has {has}: from one half on a voxel is {what}.")
    elif (low := values.min(initial=0)) < 0:
        notes.append(f"It has values below zero (the least is {low:g}): none of them is {what}.")
    if nameless:
        notes.append(f"It has {nameless} NaN or infinite voxels: none of them is {what}.")
    return " ".join(notes)


def is_finite(values: NDArray) -> bool:
    """Whether no value is NaN or infinite; a sum tells faster than a look at each voxel."""
    return bool(np.isfinite(values.sum(dtype=np.float64)))


def finite(values: NDArray) -> NDArray:
    """The values; those that are NaN or infinite are zero."""
    return values if is_finite(values) else np.nan_to_num(values, posinf=0, neginf=0)


def marked(values: NDArray, name: str) -> NDArray[np.bool_]:
    """The voxels that a mask or truth sets (x, y, z); none that is NaN or infinite.

    Raises
    ------
    ImageError
        It has fractions that are no shares of voxels: none reaches one half, or some are far below zero.
    """
    values = finite(values)
    unit = share_unit(values)
    if not unit:
        return np.asarray(values > 0)
    low, high, half = float(values.min()), float(values.max()), HALF * unit
    if high < half or low < -half:
        msg = (
            f"Wanted a mask (0 and 1, or shares of voxels), but {name} has fractions from {low:.3g} to {high:.3g}."
            " Give the mask as it was drawn, or resample it with nearest neighbours."
        )
        raise ImageError(msg)
    return np.asarray(values >= half)
