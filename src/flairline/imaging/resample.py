"""Moving images and masks between grids, by their affines alone. Two functions, because a mask is not an image."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.executor import threads
from flairline.types import BoolArray, Mask, Space, Volume

SLABS = 2
"""However many threads there are: places are rounded alike on every machine."""
MIN_THREADED_VOXELS = 1_000_000
"""Fewer are done before a thread has begun."""


def resample_volume(volume: Volume, onto: Space, outside: float = 0.0) -> Volume:
    """Linear interpolation of an image onto another grid; beyond its field of view the value is `outside`."""
    return Volume(_interpolated(volume.array, volume.space, onto, outside), onto)


def resample_mask(mask: Mask, onto: Space, min_partial_volume: float = 0.5) -> Mask:
    """Linear interpolation of a mask's partial volumes, set where they reach `min_partial_volume` (inclusive)."""
    return Mask(mask_partial_volume(mask, onto) >= min_partial_volume, onto)


def mask_partial_volume(mask: Mask, onto: Space) -> NDArray[np.float32]:
    """Share of each voxel of `onto` that the mask fills, by linear interpolation, in [0, 1]."""
    return _interpolated(mask.array.astype(np.float32), mask.space, onto, 0.0)


def covered_by(source: Space, onto: Space) -> BoolArray:
    """Voxels of `onto` whose centre lies between voxel centres of `source`: where `resample_volume` has a value."""
    everything = Mask(np.ones(source.shape, np.bool_), source)
    return mask_partial_volume(everything, onto) > 1 - 1e-3


def index_resize(array: NDArray, side: int) -> NDArray:
    """Pick voxel floor(i * N / side) along x and y: the paper's nearest-neighbour resize, for images and masks alike.

    Torch's `interpolate(mode="nearest")`, which the published code calls, takes exactly these indices.
    """
    x, y = (np.arange(side) * length // side for length in array.shape[:2])
    return array[np.ix_(x, y)] if array.ndim == 2 else array[x][:, y]


def index_resize_space(space: Space, side: int) -> Space:
    """The grid that `index_resize` leads to: voxel sides grow in x and y, the first voxel stays where it was."""
    scale = np.diag([space.shape[0] / side, space.shape[1] / side, 1.0, 1.0])
    return Space((side, side, space.shape[2]), space.vox_to_ras @ scale, space.name)


def spline_resize(array: NDArray, side: int, order: int) -> NDArray[np.float32]:
    """Interpolate x and y to `side` voxels with a spline of the given order, corner voxels on corner voxels."""
    zoom = (side / array.shape[0], side / array.shape[1], 1.0)
    return ndimage.zoom(array.astype(np.float32), zoom, order=order, mode="nearest")


def _interpolated(array: NDArray, space: Space, onto: Space, outside: float) -> NDArray:
    """Linear interpolation in slabs along x: each voxel is computed by itself."""
    matrix, offset = _voxel_to_voxel(space, onto)
    found = np.empty(onto.shape, array.dtype)

    def fill(first: int, end: int) -> None:
        ndimage.affine_transform(
            array,
            matrix,
            offset + matrix @ [first, 0, 0],
            output=found[first:end],
            output_shape=(end - first, *onto.shape[1:]),
            order=1,
            mode="constant",
            cval=outside,
        )

    slabs = SLABS if found.size > MIN_THREADED_VOXELS else 1
    edges = np.linspace(0, onto.shape[0], slabs + 1).astype(int)
    with ThreadPoolExecutor(min(slabs, threads())) as pool:
        list(pool.map(fill, edges[:-1].tolist(), edges[1:].tolist()))
    return found


def _voxel_to_voxel(source: Space, onto: Space) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and offset from voxels of `onto` to voxels of `source`, as `scipy.ndimage.affine_transform` wants them."""
    matrix = np.linalg.inv(source.vox_to_ras) @ onto.vox_to_ras
    return matrix[:3, :3], matrix[:3, 3]
