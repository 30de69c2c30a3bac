"""Rendering by numpy and scipy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis import render as rendering
from flairline.synthesis.plan import Rendered, ScanPlan

CHUNK = 1_000_000
"""Places interpolated at once."""


class NumpyArrays:
    """`arrays.Arrays` by numpy."""

    exp = staticmethod(np.exp)
    sqrt = staticmethod(np.sqrt)
    cos = staticmethod(np.cos)
    rint = staticmethod(np.rint)
    hypot = staticmethod(np.hypot)
    where = staticmethod(np.where)
    clip = staticmethod(np.clip)
    maximum = staticmethod(np.maximum)
    minimum = staticmethod(np.minimum)
    stack = staticmethod(np.stack)
    nonzero = staticmethod(np.flatnonzero)

    def put(self, array: NDArray[Any]) -> NDArray[Any]:
        return array

    def get(self, array: NDArray[Any]) -> NDArray[Any]:
        return array

    def zeros(self, shape: Sequence[int], dtype: type[np.generic]) -> NDArray[Any]:
        return np.zeros(shape, dtype)

    def cast(self, array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
        return array.astype(dtype)

    def sigmoid(self, array: NDArray[Any]) -> NDArray[Any]:
        from scipy.special import expit

        return expit(array)

    def ramp(self, depth: NDArray[np.float32], edge_mm: float) -> NDArray[np.float32]:
        if edge_mm == 0:
            return (depth >= 0).astype(np.float32)
        return np.clip(0.5 + depth / edge_mm, 0, 1)

    def take(self, array: NDArray[Any], index: NDArray[Any], axis: int) -> NDArray[Any]:
        return np.take(array, index, axis)

    def mesh(self, axes: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.stack([place.ravel() for place in np.meshgrid(*axes, indexing="ij")])

    def project(self, basis: NDArray[np.float32], values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        return np.moveaxis(np.tensordot(basis, values, (1, axis)), 0, axis)

    def linear(
        self,
        volume: NDArray[np.float32],
        origin_mm: NDArray[np.floating],
        sides_mm: NDArray[np.floating],
        mm: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        from scipy.ndimage import map_coordinates

        values = np.empty(mm.shape[1], dtype=np.float32)
        for start in range(0, mm.shape[1], CHUNK):  # scipy works in float64: all at once would take half a GB
            part = slice(start, start + CHUNK)
            voxels = (mm[:, part] - origin_mm[:, None]) / sides_mm[:, None]
            map_coordinates(volume, voxels, output=values[part], order=1, mode="constant")
        return values

    def blur(self, volume: NDArray[np.float32], sigma: Sequence[float]) -> NDArray[np.float32]:
        from scipy.ndimage import gaussian_filter

        # A kernel narrower than .2 changes nothing and takes its time.
        sigmas = tuple(side if side >= 0.2 else 0.0 for side in sigma)
        return gaussian_filter(volume, sigmas, mode="nearest", truncate=3)

    def fill_holes(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        from scipy.ndimage import binary_fill_holes

        return binary_fill_holes(mask)


def render(plan: ScanPlan, points_mm: NDArray[np.float32] | None = None) -> Rendered:
    """One scan by numpy, see `render.render`."""
    return rendering.render(plan, NumpyArrays(), points_mm)
