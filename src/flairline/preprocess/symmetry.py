"""Where a voxel's mirrored place is: in the space of a symmetric atlas, or by the scan's own mirror image."""

from __future__ import annotations

import logging
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.errors import InputError
from flairline.imaging.points import PointMap, carry_partial_volume
from flairline.preprocess import quality
from flairline.preprocess.atlas import Atlas, load_atlas
from flairline.preprocess.placing import MIN_BRAIN_ML
from flairline.preprocess.register import register_affine
from flairline.types import Scan

log = logging.getLogger(__name__)

GRID_MM = 4.0
"""Spacing at which the symmetry is looked for in the scan's own mirror image."""
FLIP = np.diag([-1.0, 1.0, 1.0, 1.0])
"""The MNI152 2009a atlas is symmetric to the last bit about x = 0."""

Mirror = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Matrix (3, 3) and offset (3,) that lead from a voxel to its mirrored place, in voxels."""


def atlas_mirror(scan: Scan) -> Mirror:
    """The mirrored place in atlas space: to MNI152, over to the other side, and back.

    A scan that was registered before brings its map along (`Scan.atlas_to_native`); else the T1, or the FLAIR, is
    registered here.

    Raises
    ------
    InputError
        There is no whole brain, or the atlas does not fit on it.
    FlairlineError
        nilearn is not installed.
    """
    to_native = scan.atlas_to_native
    if to_native is None:
        to_native = _registered(scan)
    vox_to_ras = scan.space.vox_to_ras
    over = np.linalg.inv(vox_to_ras) @ to_native @ FLIP @ np.linalg.inv(to_native) @ vox_to_ras
    return over[:3, :3], over[:3, 3]


def _registered(scan: Scan) -> NDArray[np.float64]:
    """Affine from points of MNI152 to the scan's, RAS mm."""
    if scan.brain.volume_ml < MIN_BRAIN_ML:
        msg = f"Wanted a whole brain of {scan.subject!r} to lay onto the atlas, found {scan.brain.volume_ml:.0f} ml."
        raise InputError(msg)
    atlas = _atlas()
    matrix = register_affine(atlas.t1, atlas.brain, scan.t1 or scan.flair, scan.brain, "greedy")
    there = carry_partial_volume(scan.brain, atlas.space, PointMap("mni", "native", matrix)) >= 0.5
    overlap = 2 * (there & atlas.brain.array).sum() / (there.sum() + atlas.brain.array.sum())
    if overlap < quality.MIN_ATLAS_OVERLAP:
        msg = (
            f"The brain of {scan.subject!r} overlaps the atlas's by a Dice of {overlap:.2f} after registration, wanted"
            f" at least {quality.MIN_ATLAS_OVERLAP}. Check that the brain is whole."
        )
        raise InputError(msg)
    return matrix


@lru_cache(maxsize=1)
def _atlas() -> Atlas:
    return load_atlas("mni")


def own_mirror(image: NDArray[np.float32], brain: NDArray[np.bool_], spacing_mm: NDArray[np.floating]) -> Mirror:
    """A reflection in the best plane of symmetry of the scan itself.

    The plane's normal is left-right but for two turns; its place and these turns are those at which the coarse image
    and its reflection differ least.
    """
    from scipy.optimize import minimize

    step = np.maximum(1, np.rint(GRID_MM / spacing_mm)).astype(int)
    blurred = ndimage.gaussian_filter(np.clip(image, -3, 3), step / 2.5, truncate=2)[:: step[0], :: step[1], :: step[2]]
    inside = brain[:: step[0], :: step[1], :: step[2]]
    places = np.argwhere(inside) * step * spacing_mm
    centre = places.mean(axis=0)

    def reflected(parameters: NDArray[np.floating]) -> Mirror:
        yaw, roll, shift = parameters[0] / 50, parameters[1] / 50, parameters[2]
        normal = np.array([1.0, yaw, roll])
        normal = normal / np.linalg.norm(normal)
        reflection = np.eye(3) - 2 * np.outer(normal, normal)
        return reflection, centre + shift * normal - reflection @ (centre + shift * normal)

    values = blurred[inside]

    def difference(parameters: NDArray[np.floating]) -> float:
        reflection, offset = reflected(parameters)
        there = (places @ reflection.T + offset) / (step * spacing_mm)
        found = ndimage.map_coordinates(blurred, there.T, order=1, mode="constant", cval=-3)
        return float(np.abs(found - values).mean())

    best = minimize(difference, np.zeros(3), method="Powell", options={"maxiter": 6, "xtol": 0.1, "ftol": 1e-3}).x
    reflection, offset = reflected(best)
    scale = np.diag(spacing_mm)
    unscale = np.diag(1 / spacing_mm)
    return unscale @ reflection @ scale, unscale @ offset
