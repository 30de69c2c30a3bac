"""A converted image as its headers have it: even slices, each with its own scale, bright where it is bright.

dcm2niix takes the distance of the first two slices for all, the scale of one frame of a multi-frame file for all, and
grey values as they are stored, also where the lowest is the brightest.
"""

from __future__ import annotations

import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation
from numpy.typing import NDArray

from flairline.io.dicom.series import Series
from flairline.types import Space, Volume

SAME_DIRECTION = 1e-2
"""Steps between voxels are alike if they differ by no more than this share of their length."""


def ras_space(series: Series) -> Space:
    """The grid of a series' slices with its axes as `read_volume` has them, in RAS+."""
    space = series.space
    to_ras = io_orientation(space.vox_to_ras)
    x, y, z = (int(space.shape[int(axis)]) for axis in np.argsort(to_ras[:, 0]))
    return Space((x, y, z), space.vox_to_ras @ inv_ornt_aff(to_ras, space.shape))


def evened(volume: Volume, series: Series) -> Volume | None:
    """A volume in RAS+ on the even grid of its series; None where it lies otherwise in more than its slices' distance.

    Places that are rounded to a tenth of a millimetre are .9 mm apart for .9375, which over 180 slices is 7 mm.
    """
    wanted = ras_space(series)
    if not series.is_even or volume.space.shape != wanted.shape:
        return None
    (along,) = (axis for axis in range(3) if int(_of_slices(series)[axis]) == 1)
    for axis in range(3):
        step_mm, wanted_mm = (each.vox_to_ras[:3, axis] for each in (volume.space, wanted))
        if axis == along:  # only its direction
            step_mm = step_mm * np.linalg.norm(wanted_mm) / np.linalg.norm(step_mm)
        if np.linalg.norm(step_mm - wanted_mm) > SAME_DIRECTION * np.linalg.norm(wanted_mm):
            return None
    ends = np.array([[0, 0, 0, 1.0], [0, 0, 0, 1.0]])
    ends[1, along] = wanted.shape[along] - 1
    apart_mm = np.linalg.norm((ends @ (volume.space.vox_to_ras - wanted.vox_to_ras).T)[:, :3], axis=1)
    return Volume(volume.array, wanted) if apart_mm.min() <= 0.5 * min(wanted.spacing_mm) else None


def with_own_scales(volume: Volume, series: Series) -> Volume:
    """Stored values in RAS+ with the scale that each frame has (`Frame.rescale`)."""
    slopes, intercepts = np.array([frame.rescale for frame in series.frames], np.float32).T
    array = volume.array * _on_slices(slopes, series) + _on_slices(intercepts, series)
    return Volume(array.astype(np.float32), volume.space)


def turned_bright(volume: Volume) -> Volume:
    """Grey values of which the lowest is the brightest, the other way round and within the same range."""
    return Volume(volume.array.min() + volume.array.max() - volume.array, volume.space)


def _of_slices(series: Series) -> NDArray[np.integer]:
    """1 for the axis in RAS+ along which the slices lie, 0 for the others."""
    to_ras = io_orientation(series.space.vox_to_ras)
    return np.arange(3) == int(to_ras[2, 0])


def _on_slices(values: NDArray[np.float32], series: Series) -> NDArray[np.float32]:
    """A value a slice as an array that spreads over the volume in RAS+."""
    spread: NDArray[np.float32] = apply_orientation(values.reshape(1, 1, -1), io_orientation(series.space.vox_to_ras))
    return spread
