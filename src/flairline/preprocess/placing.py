"""Where a stripped scan lies in the MNI atlas, found in seconds: nothing but coordinates and names hangs on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError
from flairline.imaging.boxes import box_of
from flairline.imaging.measure import dice
from flairline.imaging.points import PointMap, carry_mask
from flairline.imaging.resample import resample_mask, resample_volume
from flairline.preprocess.atlas import Atlas, load_atlas
from flairline.preprocess.quality import MAX_ATLAS_STRETCH, MIN_ATLAS_OVERLAP, stretch
from flairline.preprocess.register import isotropic_space, register_affine, stripped
from flairline.types import Mask, Scan, Space, Volume

ATLAS_MM = 3.0
"""Voxel side of the atlas that `place_on_atlas` registers: a place is wanted, not a voxel."""
SCAN_MM = 2.0
"""Voxel side that the scan is brought to before it."""
MARGIN_VOXELS = 2
MIN_BRAIN_ML = 600.0
"""Less than this is no whole brain: it is not laid onto the atlas."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Points of the MNI atlas (RAS mm) to points of a scan; None where that failed, and `reason` says why."""

    atlas_to_native: PointMap | None
    reason: str = ""


def place_on_atlas(scan: Scan) -> Placement:
    """Where a stripped scan lies in the atlas, by a coarse affine registration of its T1, or of its FLAIR.

    Never raises for a scan that cannot be placed: the reason is given back in its stead.
    """
    if scan.brain.volume_ml < MIN_BRAIN_ML:
        return Placement(None, f"Wanted a whole brain, found {scan.brain.volume_ml:.0f} ml.")
    alone = _Alone.of(scan)
    placed = _placed(alone)
    if placed.atlas_to_native is None:
        _placed.cache_clear()  # what has failed is tried again when it is asked for again
        return placed
    return Placement(PointMap("atlas", "native", alone.to_native @ placed.atlas_to_native.ras_to_ras))


@dataclass(frozen=True)
class _Alone:
    """A brain in its own box, hung on its middle: nothing of it depends on padding or on where the header lays it.

    Two are equal whose voxels and directions are. `to_native` (4x4) leads to the scan's mm.
    """

    key: str
    image: Volume = field(compare=False)
    brain: Mask = field(compare=False)
    to_native: NDArray[np.float64] = field(compare=False)

    @classmethod
    def of(cls, scan: Scan) -> _Alone:
        box = box_of(scan.brain.array)
        inside = np.pad(scan.brain.array[box], MARGIN_VOXELS)
        array = np.pad((scan.t1 or scan.flair).array[box], MARGIN_VOXELS)
        sides = np.round(scan.spacing_mm, 4)
        vox_to_mm = np.eye(4)
        vox_to_mm[:3, :3] = np.round(scan.space.vox_to_ras[:3, :3] / np.array(scan.spacing_mm), 4) * sides
        vox_to_mm[:3, 3] = -vox_to_mm[:3, :3] @ ((np.array(inside.shape) - 1) / 2)
        first = np.eye(4)
        first[:3, 3] = [side.start - MARGIN_VOXELS for side in box]
        space = Space((inside.shape[0], inside.shape[1], inside.shape[2]), vox_to_mm)
        image, brain = Volume(array, space), Mask(inside, space)
        digest = hashlib.sha256(np.where(inside, array, 0).tobytes())
        for part in (inside, vox_to_mm, np.array(inside.shape)):
            digest.update(part.tobytes())
        return cls(digest.hexdigest(), image, brain, scan.space.vox_to_ras @ first @ np.linalg.inv(vox_to_mm))


@lru_cache(maxsize=1)
def _placed(alone: _Alone) -> Placement:
    """The scan's place is asked for by the network that knows places and again by the names of its lesions."""
    space = isotropic_space(alone.image.space, alone.brain, SCAN_MM)
    coarse = resample_volume(stripped(alone.image, alone.brain), space), resample_mask(alone.brain, space)
    return register_on_mni(*coarse, ATLAS_MM)


def register_on_mni(image: Volume, brain: Mask, spacing_mm: float) -> Placement:
    """Points of the atlas to those of a stripped image, or why not.

    Parameters
    ----------
    spacing_mm
        Voxel side at which the atlas is registered.
    """
    atlas = coarse_mni(spacing_mm)
    try:
        matrix = register_affine(atlas.t1, atlas.brain, image, brain, "greedy", spacing_mm)
    except InputError as error:
        return Placement(None, str(error))
    points = PointMap("atlas", "native", matrix)
    overlap, stretched = dice(carry_mask(brain, atlas.space, points).array, atlas.brain.array), stretch(points)
    if overlap < MIN_ATLAS_OVERLAP and stretched > MAX_ATLAS_STRETCH:
        reason = f"Registered, the brain covers the atlas's by {overlap:.2f} (Dice), stretched {stretched:.1f} to 1."
        return Placement(None, reason)
    return Placement(points)


@lru_cache(maxsize=4)
def coarse_mni(spacing_mm: float) -> Atlas:
    """The MNI atlas on cubes around its brain; of that size, because at 1 mm every step would take seconds."""
    atlas = load_atlas("mni")
    cubes = isotropic_space(atlas.space, atlas.brain, spacing_mm)
    space = Space(cubes.shape, cubes.vox_to_ras, "atlas")
    t1 = resample_volume(stripped(atlas.t1, atlas.brain), space)
    return Atlas(atlas.name, t1, resample_mask(atlas.brain, space), atlas.file)
