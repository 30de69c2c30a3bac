"""Where a stripped scan lies in the MNI atlas, found in seconds: nothing but coordinates and names hangs on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from flairline.errors import InputError
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
    image = scan.t1 or scan.flair
    space = isotropic_space(scan.space, scan.brain, SCAN_MM)
    coarse = resample_volume(stripped(image, scan.brain), space), resample_mask(scan.brain, space)
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
