"""A label map's file as classes of tissue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError
from flairline.io.nifti import read_volume
from flairline.synthesis.anatomy import FREESURFER, WHITE, to_classes

SPACING_TOLERANCE_MM = 0.05
"""How far its voxels may be from 1 mm."""


def read_label_map(path: Path) -> NDArray[np.uint8]:
    """Class map (x, y, z) in RAS+ at 1 mm, cut to the brain and 10 voxels around it.

    Raises
    ------
    InputError
        The file cannot be read, has voxels of other sides than 1 mm, or none of FreeSurfer's numbers of white matter.
    """
    volume = read_volume(path)
    if any(abs(side - 1) > SPACING_TOLERANCE_MM for side in volume.space.spacing_mm):
        sides = " x ".join(f"{side:.3g}" for side in volume.space.spacing_mm)
        msg = f"Wanted a label map at 1 mm, but {path} has voxels of {sides} mm. Resample it by nearest neighbour."
        raise InputError(msg)
    if not np.isin(volume.array, FREESURFER[WHITE]).any():
        msg = f"Wanted a label map with FreeSurfer's numbers (2 and 41: white matter), but {path} has none of these."
        raise InputError(msg)
    return to_classes(volume.array)
