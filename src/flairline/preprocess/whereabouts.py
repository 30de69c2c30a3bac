"""Where in the brain the lesions of a scan lie: places in an atlas, and regions. No mask and no score hangs on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flairline.errors import FlairlineError
from flairline.imaging.measure import Naming
from flairline.imaging.regions import REGIONS, Anatomy, regions_of, scan_anatomy
from flairline.preprocess.atlas import mni_file
from flairline.preprocess.placing import place_on_atlas
from flairline.preprocess.prepared import Prepared
from flairline.types import Lesion, Scan

PLACED_ON = "mni"
"""The atlas that scans are laid onto where they were not registered to it."""


@dataclass(frozen=True, eq=False)
class Whereabouts:
    """What is known of where a scan lies.

    Attributes
    ----------
    native_to_atlas
        4x4, from the scan's points (RAS mm) to the atlas's; None where it was not placed.
    anatomy
        The parts of the brain on the scan's grid; None where regions were not asked for or could not be told.
    placed_on
        The atlas that the scan was laid onto for this alone; empty where it was registered before, or not placed.
    notes
        Why something is missing, in words.
    """

    native_to_atlas: NDArray[np.float64] | None = None
    anatomy: Anatomy | None = None
    placed_on: str = ""
    notes: tuple[str, ...] = ()

    def naming(self, scan: Scan) -> Naming | None:
        """From numbered components on the scan's grid to their regions; None where nothing is known of them."""
        anatomy = self.anatomy
        return None if anatomy is None else lambda labels: regions_of(labels, anatomy, scan.spacing_mm)

    def with_places(self, lesions: Sequence[Lesion], scan: Scan) -> list[Lesion]:
        """The lesions with their centres in the atlas; where no side is known there are none, because they name one."""
        matrix = self.native_to_atlas
        if matrix is None or not scan.space.sides_known:
            return list(lesions)
        return [replace(lesion, centre_atlas_mm=_moved(matrix, lesion.centre_mm)) for lesion in lesions]

    def region_ml(self, lesions: Sequence[Lesion]) -> dict[str, float] | None:
        """Volume of the lesions in each region, also where it is nought; None where nothing is known of regions."""
        if self.anatomy is None:
            return None
        return {
            region: float(sum(lesion.volume_ml for lesion in lesions if lesion.region == region)) for region in REGIONS
        }


def whereabouts(scan: Scan, prepared: Prepared | None = None, regions: bool = True) -> Whereabouts:
    """Where a scan lies, by its registration where it has one, else by a rough placing that takes seconds.

    Parameters
    ----------
    prepared
        How the scan was prepared; None for one that is in memory.
    regions
        Whether the regions are wanted; without them nothing is placed that was not registered anyway.
    """
    registered = None if prepared is None or prepared.atlas_to_native is None else prepared.atlas_to_native.ras_to_ras
    if registered is None:
        registered = scan.atlas_to_native
    known = Whereabouts(None if registered is None else _inverse(registered))
    if not regions:
        return known
    try:
        return _with_anatomy(known, scan)
    except (FlairlineError, RuntimeError, OSError, ValueError, MemoryError) as error:
        # A scan is worth its mask without a single place.
        return _without(known, str(error) or type(error).__name__)


def _with_anatomy(known: Whereabouts, scan: Scan) -> Whereabouts:
    """With the atlas's parts, by the map from the MNI atlas: the scan's own, else that of a rough placing."""
    to_native = scan.atlas_to_native
    if to_native is None:
        placement = place_on_atlas(scan)
        if placement.atlas_to_native is None:
            return _without(known, placement.reason)
        to_native = placement.atlas_to_native.ras_to_ras
        own = _inverse(to_native) if known.native_to_atlas is None else known.native_to_atlas
        known = replace(known, native_to_atlas=own, placed_on=PLACED_ON)
    return replace(known, anatomy=scan_anatomy(scan.flair, scan.brain, to_native, mni_file()))


def _without(known: Whereabouts, reason: str) -> Whereabouts:
    lost = "no regions" if known.native_to_atlas is not None else "no places in the atlas and no regions"
    return replace(known, anatomy=None, notes=(f"Lesions have {lost}: the scan was not laid onto the atlas. {reason}",))


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.inv(matrix), np.float64)


def _moved(
    matrix: NDArray[np.float64], place_mm: tuple[float, float, float] | None
) -> tuple[float, float, float] | None:
    """A point (RAS mm) carried by a 4x4 matrix."""
    if place_mm is None:
        return None
    x, y, z = (matrix[:3, :3] @ np.array(place_mm) + matrix[:3, 3]).tolist()
    return x, y, z
