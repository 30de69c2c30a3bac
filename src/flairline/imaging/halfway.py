"""The space half-way between two visits: both are interpolated alike, so that neither is favoured.

A registration is not quite the inverse of the one the other way round. Both are taken, and their mean in the logarithm
(Reuter, Rosas and Fischl 2010, NeuroImage 53:1181, for rigid maps); its square root leads half the way. Exchanging the
visits exchanges the two maps, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError
from flairline.imaging.boxes import voxels_in
from flairline.imaging.points import PointMap
from flairline.types import Mask, Space

HALFWAY, EARLIER, LATER = "halfway", "earlier", "later"
MARGIN_MM = 8.0
MAX_IMAGINARY = 1e-6


def halfway_maps(
    earlier_to_later: NDArray[np.float64], later_to_earlier: NDArray[np.float64]
) -> tuple[PointMap, PointMap]:
    """From points of the halfway space (RAS mm) to those of the earlier and of the later visit.

    Parameters
    ----------
    earlier_to_later, later_to_earlier
        4x4, the two registrations.

    Raises
    ------
    InputError
        The map has no square root: one image lies upside down to the other.
    """
    from scipy.linalg import expm, logm, sqrtm

    mean = expm((logm(earlier_to_later) + logm(np.linalg.inv(later_to_earlier))) / 2)
    root = np.asarray(sqrtm(mean))
    if not np.isfinite(root).all() or np.abs(np.imag(root)).max() > MAX_IMAGINARY:
        msg = (
            "Wanted two heads that lie about alike, found that the registration turns one upside down. Look at both"
            " images, and correct the header that is wrong."
        )
        raise InputError(msg)
    half = np.real(root).astype(np.float64)
    return PointMap(EARLIER, HALFWAY, half).inverse(), PointMap(HALFWAY, LATER, half)


def halfway_space(brains: Sequence[Mask], from_halfway: Sequence[PointMap], side_mm: float) -> Space:
    """A grid of cubes along the halfway space's axes (RAS+) around both brains and a margin.

    Parameters
    ----------
    brains
        Each on its own grid; none may be empty.
    from_halfway
        Points of the halfway space to those of each brain.
    """
    ends = [_extent_mm(brain, points.inverse()) for brain, points in zip(brains, from_halfway, strict=True)]
    low = -voxels_in(MARGIN_MM - np.min([end[0] for end in ends], axis=0), side_mm)
    high = voxels_in(np.max([end[1] for end in ends], axis=0) + MARGIN_MM, side_mm)
    x, y, z = high - low + 1
    vox_to_ras = np.diag([side_mm, side_mm, side_mm, 1.0])
    vox_to_ras[:3, 3] = low * side_mm
    return Space((int(x), int(y), int(z)), vox_to_ras)


def turn_degrees(points: PointMap) -> float:
    """By how much a rigid map turns."""
    linear = points.ras_to_ras[:3, :3]
    u, _, v = np.linalg.svd(linear)
    return float(np.degrees(np.arccos(np.clip((np.trace(u @ v) - 1) / 2, -1, 1))))


def _extent_mm(brain: Mask, to_halfway: PointMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    matrix = to_halfway.ras_to_ras @ brain.space.vox_to_ras
    places = np.argwhere(brain.array) @ matrix[:3, :3].T + matrix[:3, 3]
    return places.min(axis=0), places.max(axis=0)
