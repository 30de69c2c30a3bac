"""Where a scan lies on a model's grid: by registration to the MNI atlas, by its header, or else by its brain's box."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.imaging.boxes import extent_without_strays
from flairline.imaging.points import PointMap, identity
from flairline.preprocess.atlas import Atlas
from flairline.preprocess.placing import coarse_mni, register_on_mni
from flairline.types import Mask, Scan, Space

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
    return Frame(coarse_mni(grid_mm).space, True, registration_mm)


def place(scan: Scan, frame: Frame, register: bool = True) -> Placed:
    """Where a scan lies; one that lies on the frame's grid already, or is not to be registered, by its header alone.

    Where the registration fails, or what it found is no map of a head onto a head, the scan's brain is laid onto the
    atlas's by their boxes, and `trouble` says so.
    """
    if scan.space.same_grid(frame.space) or not (register and frame.registered):
        return Placed(identity("atlas", "flair"))
    placed = register_on_mni(scan.flair, scan.brain, frame.registration_mm)
    if placed.atlas_to_native is None:
        return _by_boxes(scan, coarse_mni(frame.registration_mm), placed.reason)
    return Placed(replace(placed.atlas_to_native, target="flair"))


def _by_boxes(scan: Scan, atlas: Atlas, trouble: str) -> Placed:
    log.warning("%s: %s Its brain's box is laid onto the atlas's.", scan.subject, trouble)
    return Placed(PointMap("atlas", "flair", by_boxes(scan.brain, atlas.brain)), trouble)


def by_boxes(brain: Mask, onto: Mask) -> NDArray[np.float64]:
    """4x4, from points (RAS mm) of the brain `onto` to those of a brain, so that their boxes lie on each other."""
    low, high = extent_without_strays(brain.array)
    atlas_low, atlas_high = extent_without_strays(onto.array)
    scale = (high - low) / (atlas_high - atlas_low)
    boxes = np.diag([*scale, 1.0])
    boxes[:3, 3] = low - scale * atlas_low
    return np.asarray(brain.space.vox_to_ras @ boxes @ np.linalg.inv(onto.space.vox_to_ras), np.float64)
