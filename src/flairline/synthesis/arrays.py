"""What rendering asks of a library of arrays: numpy (`render_numpy`) or torch on any device (`render_torch`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = Any
"""An array of the library; operators, slices and reductions are those of both libraries."""


class Arrays(Protocol):
    """The functions that the two libraries spell differently, or do at different speed."""

    def put(self, array: NDArray[Any]) -> Array:
        """From numpy; the dtype stays."""
        ...

    def get(self, array: Array) -> NDArray[Any]:
        """To numpy."""
        ...

    def zeros(self, shape: Sequence[int], dtype: type[np.generic]) -> Array: ...

    def cast(self, array: Array, dtype: type[np.generic]) -> Array: ...

    def where(self, condition: Array, first: Array, second: Array) -> Array: ...

    def clip(self, array: Array, low: float | None, high: float | None) -> Array: ...

    def maximum(self, first: Array, second: Array) -> Array: ...

    def minimum(self, first: Array, second: Array) -> Array: ...

    def exp(self, array: Array) -> Array: ...

    def sqrt(self, array: Array) -> Array: ...

    def cos(self, array: Array) -> Array: ...

    def rint(self, array: Array) -> Array: ...

    def hypot(self, first: Array, second: Array) -> Array: ...

    def sigmoid(self, array: Array) -> Array: ...

    def ramp(self, depth: Array, edge_mm: float) -> Array:
        """From 0 to 1 over `edge_mm`, a half at depth 0; without an edge 0 below it and 1 from it on."""
        ...

    def take(self, array: Array, index: Array, axis: int) -> Array: ...

    def stack(self, arrays: Sequence[Array]) -> Array: ...

    def nonzero(self, mask: Array) -> Array:
        """Places of a flat mask's true values."""
        ...

    def mesh(self, axes: Sequence[NDArray[np.float32]]) -> Array:
        """Places (3, n) of a grid with these axes, the last axis first to change."""
        ...

    def project(self, basis: NDArray[np.float32], values: Array, axis: int) -> Array:
        """Matrix (n, knots) times the values along an axis."""
        ...

    def linear(
        self, volume: NDArray[np.float32], origin_mm: NDArray[np.floating], sides_mm: NDArray[np.floating], mm: Array
    ) -> Array:
        """Linear interpolation of a volume at places `mm` (3, n); zero outside of it."""
        ...

    def blur(self, volume: Array, sigma: Sequence[float]) -> Array:
        """Gaussian smoothing, `sigma` in voxels by axis, below .2 none; the border is repeated."""
        ...

    def fill_holes(self, mask: Array) -> Array: ...
