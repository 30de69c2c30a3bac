"""Where a scan lies on a model's grid: by registration to the MNI atlas, by its header, or else by its brain's box."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from flairline.errors import InputError
from flairline.imaging.boxes import extent_without_strays
from flairline.imaging.measure import dice
from flairline.imaging.points import PointMap, carry_mask, identity
from flairline.imaging.resample import resample_mask, resample_volume
from flairline.preprocess.atlas import Atlas, load_atlas
from flairline.preprocess.quality import MAX_ATLAS_STRETCH, MIN_ATLAS_OVERLAP, stretch
from flairline.preprocess.register import isotropic_space, register_affine, stripped
from flairline.types import Scan, Space

log = logging.getLogger(__name__)

MIN_HEADER_OVERLAP = 0.5
"""Two brains that are said to share their coordinates overlap by more (Dice), whoever they are of."""


@dataclass(frozen=True)
class Frame:
    """A model's grid. `registered`: it lies over the MNI atlas, and scans are registered there.

    `registration_mm` is the voxel side at which they are.
    """

    space: Space
    registered: bool
    registration_mm: float

    def describe(self) -> dict[str, Any]:
        """Plain values for config.json."""
        grid = {"shape": list(self.space.shape), "vox_to_ras": self.space.vox_to_ras.tolist()}
        return {"grid": grid, "registered": self.registered, "registration_mm": self.registration_mm}

    @classmethod
    def of(cls, config: dict[str, Any]) -> Frame:
        """The frame that `describe` described. Raises `KeyError`, `TypeError` or `ValueError` if it did not."""
        x, y, z = (int(side) for side in config["grid"]["shape"])
        vox_to_ras = np.array(config["grid"]["vox_to_ras"], dtype=np.float64)
        if vox_to_ras.shape != (4, 4) or min(x, y, z) < 1 or not np.linalg.det(vox_to_ras):
            msg = "no grid"
            raise ValueError(msg)
        return cls(Space((x, y, z), vox_to_ras, "atlas"), bool(config["registered"]), float(config["registration_mm"]))


@dataclass(frozen=True)
class Placed:
    """Points of the model's grid (RAS mm) to points of the scan. `trouble` says why this may be wrong, else empty."""

    to_scan: PointMap
    trouble: str = ""


def mni_frame(grid_mm: float, registration_mm: float) -> Frame:
    """Cubes around the MNI atlas's brain."""
    return Frame(_mni(grid_mm).space, True, registration_mm)


def place(scan: Scan, frame: Frame, register: bool = True) -> Placed:
    """Where a scan lies; one that lies on the frame's grid already, or is not to be registered, by its header alone.

    Where the registration fails, or what it found is no map of a head onto a head, the scan's brain is laid onto the
    atlas's by their boxes, and `trouble` says so.
    """
    if scan.space.same_grid(frame.space) or not (register and frame.registered):
        return Placed(identity("atlas", "flair"))
    atlas = _mni(frame.registration_mm)
    try:
        matrix = register_affine(atlas.t1, atlas.brain, scan.flair, scan.brain, "greedy", frame.registration_mm)
    except InputError as error:
        return _by_boxes(scan, atlas, str(error))
    points = PointMap("atlas", "flair", matrix)
    overlap, stretched = dice(carry_mask(scan.brain, atlas.space, points).array, atlas.brain.array), stretch(points)
    if overlap < MIN_ATLAS_OVERLAP and stretched > MAX_ATLAS_STRETCH:
        trouble = f"Registered, the brain covers the atlas's by {overlap:.2f} (Dice), stretched {stretched:.1f} to 1."
        return _by_boxes(scan, atlas, trouble)
    return Placed(points)


def _by_boxes(scan: Scan, atlas: Atlas, trouble: str) -> Placed:
    log.warning("%s: %s Its brain's box is laid onto the atlas's.", scan.subject, trouble)
    low, high = extent_without_strays(scan.brain.array)
    atlas_low, atlas_high = extent_without_strays(atlas.brain.array)
    scale = (high - low) / (atlas_high - atlas_low)
    boxes = np.diag([*scale, 1.0])
    boxes[:3, 3] = low - scale * atlas_low
    matrix = scan.space.vox_to_ras @ boxes @ np.linalg.inv(atlas.space.vox_to_ras)
    return Placed(PointMap("atlas", "flair", matrix), trouble)


@lru_cache(maxsize=4)
def _mni(spacing_mm: float) -> Atlas:
    """The MNI atlas on cubes around its brain; of that size, because at 1 mm every step would take seconds."""
    atlas = load_atlas("mni")
    cubes = isotropic_space(atlas.space, atlas.brain, spacing_mm)
    space = Space(cubes.shape, cubes.vox_to_ras, "atlas")
    t1 = resample_volume(stripped(atlas.t1, atlas.brain), space)
    return Atlas(atlas.name, t1, resample_mask(atlas.brain, space), atlas.file)
