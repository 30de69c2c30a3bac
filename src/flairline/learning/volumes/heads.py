"""Label maps as heads that scans are made of: their classes, and where they lie in the atlas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flairline.learning.atlas.placing import by_boxes
from flairline.preprocess.placing import ATLAS_MM, MIN_BRAIN_ML, coarse_mni, register_on_mni
from flairline.synthesis import anatomy as tissue
from flairline.synthesis.contrast import GREY, T1
from flairline.synthesis.scan_store import Head
from flairline.types import Mask, Space, Volume


def head_of(classes: NDArray[np.uint8]) -> Head:
    """A class map with its place: what a T1 of it would look like is laid onto the atlas, else its brain's box is."""
    levels = np.zeros(len(tissue.CLASSES), np.float32)
    for index, limits in {**T1, tissue.CORTEX: GREY["t1"]}.items():
        levels[index] = sum(limits) / 2
    vox_to_mm = np.eye(4)
    vox_to_mm[:3, 3] = tissue.labelled(classes).origin_mm
    space = Space((classes.shape[0], classes.shape[1], classes.shape[2]), vox_to_mm)
    brain = Mask((classes >= tissue.CSF) & (classes <= tissue.VESSEL), space)
    image = Volume(np.where(brain.array, levels[classes], 0), space)
    placed = register_on_mni(image, brain, ATLAS_MM) if brain.volume_ml >= MIN_BRAIN_ML else None
    to_head = None if placed is None else placed.atlas_to_native
    matrix = by_boxes(brain, coarse_mni(ATLAS_MM).brain) if to_head is None else to_head.ras_to_ras
    return Head(classes, np.asarray(np.linalg.inv(matrix), np.float64))
