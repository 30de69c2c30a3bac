"""What a model teaches itself on real scans that nobody labelled: the places that it is sure of.

After DeepWMH (Liu et al., Science Bulletin 2024), which learns anew from its own first masks.
Here a trained model marks the scans. Of the components that it takes for lesions with `SURE_COMPONENT` the voxels of at
least `SURE_VOXEL` are lesion. What is below `SURELY_NOT` and farther than `NEAR_MM` from these is none. All else is
unsaid, and no loss looks there: borders, faint lesions and dark cores are left to the synthetic scans, which know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.nearby import within_mm
from flairline.io.store import content_key
from flairline.learning.calibration import BOTH, SIMPLE, component_features, probability
from flairline.learning.data import TrainingData, made_or_left_out, source_of
from flairline.learning.model import Source
from flairline.learning.run import TrainingRun
from flairline.learning.volumes.seen import Seen
from flairline.learning.volumes.sizes import Inlets
from flairline.learning.volumes.unet import lesion_logits
from flairline.learning.volumes.unet_scorer import seen_of
from flairline.learning.volumes.working_grid import WorkingGrid
from flairline.preprocess.read import read_scan
from flairline.synthesis.scan_store import Stored, store_scan
from flairline.synthesis.training import Z_RANGE
from flairline.types import Case

VERSION = 2
"""Goes up when the same model and scan give another lesson."""
SURE_COMPONENT = 0.5
SURE_VOXEL = 0.8
SURELY_NOT = 0.05
NEAR_MM = 10.0
CORE_MM = 20.0
"""What a lesion of `CORE_ML` closes around, with a ball of this radius, may be its core, whatever the teacher holds."""
CORE_ML = 5.0
CELL = 4
"""Voxels, along each axis, of the cells in which that is looked for."""
UNSAID = -1
PLACES = 200
"""So many voxels of what is lesion are noted, to cut crops around."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """A trained network, with the calibration that its folder has, and what tells it from another one."""

    network: torch.nn.Module
    inlets: Inlets
    calibration: Mapping[str, Any]
    device: torch.device
    sha256: str

    def logits(self, seen: Seen) -> NDArray[np.float32]:
        """Calibrated logits of a scan at 1 mm (x, y, z)."""
        found = lesion_logits(self.network, seen, self.device, inlets=self.inlets)
        return found * self.calibration["slope"] + self.calibration["offset"]


def lessons(data: TrainingData, teacher: Teacher, folder: Path, run: TrainingRun) -> tuple[list[Path], list[Source]]:
    """Scans with what the teacher is sure of, as `scan_store` keeps scans, and whose they are.

    A truth that a case has is not read. A scan that cannot be read is left out, and the run is told.

    Returns
    -------
    tuple
        The stems of the scans' files, those that were not there yet made now, and the scans that were seen.
    """
    stems, sources = [], []
    for number, case in enumerate(data.cases):
        untold = replace(case, truth=None)
        made = made_or_left_out(untold, partial(_lesson, untold, data, teacher, folder), run)
        if made is not None:
            stems.append(made[0])
            sources.append(made[1])
        run.progress("what the model is sure of", number + 1, len(data.cases))
    return stems, sources


def _lesson(case: Case, data: TrainingData, teacher: Teacher, folder: Path) -> tuple[Path, Source]:
    source = source_of(case)
    made_of = {"flair": source.sha256, "t1": None if case.t1 is None else str(case.t1), "teacher": teacher.sha256}
    stem = folder / content_key("lesson", VERSION, made_of)
    if not stem.with_suffix(".json").exists():
        scan = read_scan(case, replace(data.preprocess, to_atlas="never"), data.work).scan
        seen = seen_of(scan, WorkingGrid.of(scan.brain.array, scan.spacing_mm), Inlets(t1=True, placed=True))
        truth = sure_places(teacher.logits(seen), seen.image > Z_RANGE[0], teacher.calibration)
        lesion = np.argwhere(truth == 1)
        rng = np.random.default_rng(0)
        picked = lesion[rng.choice(len(lesion), min(PLACES, len(lesion)), replace=False)] if len(lesion) else lesion
        t1 = np.zeros_like(seen.image) if seen.t1 is None else seen.t1
        assert seen.vox_to_atlas is not None
        folder.mkdir(parents=True, exist_ok=True)
        stored = Stored(seen.image.astype(np.float16), truth, t1.astype(np.float16), seen.vox_to_atlas)
        store_scan(stem, stored, picked)
    return stem, source


def sure_places(
    logits: NDArray[np.floating], brain: NDArray[np.bool_], calibration: Mapping[str, Any]
) -> NDArray[np.int8]:
    """1 where a lesion is sure, 0 where surely none is, `UNSAID` elsewhere; (x, y, z) at 1 mm.

    Parameters
    ----------
    logits
        Calibrated (x, y, z).
    calibration
        What the model's config.json holds under ``calibration``.
    """
    share = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
    labels, _ = ndimage.label((share >= calibration["threshold"]) & brain, structure=BOTH)
    names = calibration.get("lesion_features", SIMPLE)
    features = component_features(labels, logits, 0.001, brain, names)
    sure = np.concatenate([[False], probability(features, calibration["lesion_weights"]) >= SURE_COMPONENT])
    lesion = sure[labels] & (share >= SURE_VOXEL)
    none = (share < SURELY_NOT) | ~brain
    none &= ~within_mm(lesion, (1.0, 1.0, 1.0), NEAR_MM) & ~perhaps_core(lesion)
    found = np.where(none, 0, UNSAID).astype(np.int8)
    found[lesion] = 1
    return found


def perhaps_core(lesion: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What lies within the bend of a large lesion: a grey or hollow core in a crescent of oedema; (x, y, z) at 1 mm."""
    found = np.zeros_like(lesion)
    labels, _ = ndimage.label(lesion, structure=BOTH)
    sizes = np.bincount(labels.ravel())
    reach = int(CORE_MM // CELL)
    ball = np.linalg.norm(np.indices((2 * reach + 1,) * 3) - reach, axis=0) <= reach
    for number in 1 + np.flatnonzero(sizes[1:] >= 1000 * CORE_ML):
        part = labels == number
        room = [(reach * CELL, reach * CELL + -side % CELL) for side in part.shape]
        x, y, z = (side // CELL for side in np.pad(part, room).shape)
        cells = np.pad(part, room).reshape(x, CELL, y, CELL, z, CELL).any(axis=(1, 3, 5))
        closed = ndimage.binary_closing(cells, ball)
        for axis in range(3):
            closed = closed.repeat(CELL, axis)
        found |= closed[tuple(slice(before, before + side) for (before, _), side in zip(room, part.shape, strict=True))]
    return found
