"""Histogram equalisation by exact ranks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def empirical_cdf(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """F(v) = share of `values` that are <= v, for every v of a one-dimensional array; in (0, 1]."""
    order = np.argsort(values)
    ordered = values[order]
    last_of_its_value = np.append(ordered[1:] != ordered[:-1], True)
    ranks = np.flatnonzero(last_of_its_value) + 1
    shares = np.empty(values.size, dtype=np.float32)
    shares[order] = np.repeat(ranks, np.diff(ranks, prepend=0)) / values.size
    return shares
