"""Bins for scores of any float range, by the bit pattern of the number, which keeps the order of floats.

For 2**-14 <= |score| < 2**14 a bin is 2**-12 of its value wide, outside that 2**-4; zero has a bin of its own. No pass
over the data is needed to find a range, and counts of different scans always add up.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from flairline.types import FloatArray

RELATIVE_WIDTH = 2.0**-12
"""Width of a bin over its start, for 2**-14 <= |score| < 2**14."""

_LOW = np.uint32((127 - 14) << 23)  # bit pattern of 2**-14
_HIGH = np.uint32((127 + 14) << 23)  # bit pattern of 2**14
_INFINITE = np.uint32(255 << 23)
_OUTER_SHIFT, _INNER_SHIFT = np.uint32(19), np.uint32(11)  # 16 and 4096 bins an octave
_N_LOW = int(_LOW >> _OUTER_SHIFT)
_N_INNER = int((_HIGH - _LOW) >> _INNER_SHIFT)
_N_HIGH = int((_INFINITE - _HIGH) >> _OUTER_SHIFT)
_N_STEPS = 1 + _N_LOW + _N_INNER + _N_HIGH  # steps away from zero, zero itself among them
N_BINS = 2 * _N_STEPS - 1
ZERO_BIN = _N_STEPS - 1


@numba.njit(cache=True, nogil=True)
def _bins_of_bits(bits: NDArray[np.uint32]) -> NDArray[np.int32]:
    bins = np.empty(bits.size, np.int32)
    for i in range(bits.size):
        magnitude = bits[i] & np.uint32(0x7FFFFFFF)
        if magnitude == 0:
            step = 0
        elif magnitude < _LOW:
            step = 1 + int(magnitude >> _OUTER_SHIFT)
        elif magnitude < _HIGH:
            step = 1 + _N_LOW + int((magnitude - _LOW) >> _INNER_SHIFT)
        else:
            step = 1 + _N_LOW + _N_INNER + int((magnitude - _HIGH) >> _OUTER_SHIFT)
        bins[i] = ZERO_BIN - step if bits[i] >> np.uint32(31) else ZERO_BIN + step
    return bins


def bins_of(scores: FloatArray) -> NDArray[np.int32]:
    """Bin of each finite score; a higher score never has a lower bin."""
    return _bins_of_bits(np.ascontiguousarray(scores, np.float32).ravel().view(np.uint32))


@numba.njit(cache=True, nogil=True)
def levels_of(scores: NDArray[np.float32], thresholds: NDArray[np.float64]) -> NDArray[np.int32]:
    """How many of the ascending thresholds each score is greater than; quick where they are evenly spaced."""
    levels = np.empty(scores.size, np.int32)
    low, last = thresholds[0], thresholds.size
    width = (thresholds[last - 1] - low) / (last - 1) if last > 1 else 0.0
    for i in range(scores.size):
        score = np.float64(scores[i])
        level = min(max(int((score - low) / width), 0), last) if width > 0 else 0
        while level < last and score > thresholds[level]:
            level += 1
        while level > 0 and score <= thresholds[level - 1]:
            level -= 1
        levels[i] = level
    return levels


def bin_starts() -> FloatArray:
    """Smallest float32 of each bin, ascending: `score >= start` takes in this bin and all above it."""
    low = np.arange(_N_LOW, dtype=np.uint32) << _OUTER_SHIFT
    low[0] = 1  # the smallest number that is not zero
    inner = _LOW + (np.arange(_N_INNER, dtype=np.uint32) << _INNER_SHIFT)
    high = _HIGH + (np.arange(_N_HIGH, dtype=np.uint32) << _OUTER_SHIFT)
    positive = np.concatenate([low, inner, high])
    largest = np.append(positive[1:], _INFINITE) - np.uint32(1)  # of each step; mirrored, the smallest of its bin
    negative = (largest | np.uint32(1 << 31))[::-1]
    return np.concatenate([negative, np.zeros(1, np.uint32), positive]).view(np.float32)


def coarse_starts() -> NDArray[np.int64]:
    """First bin of each of the coarse bins that bootstrap replicates use: fine where most methods' scores lie."""
    starts = bin_starts().astype(np.float64)
    mantissa, octave = np.frexp(np.abs(starts))
    usual = (octave > -6) & (octave <= 8)
    parts = np.where(usual, np.where(starts < 0, 8, 112), 1)
    octave = np.where(usual, octave, octave // 8 * 8 + 0.5)  # eight octaves share a bin; half: never a usual one
    part = np.floor((2 * mantissa - 1) * parts)
    labels = np.stack([np.sign(starts), octave, part])
    return np.flatnonzero(np.append(True, (labels[:, 1:] != labels[:, :-1]).any(axis=0)))
