"""How many half-widths a voxel is brighter than normal tissue around it. Needs nothing but the scan.

The histogram's mode and width depend on noise, on the size of the voxels and on the coil's field, so that a threshold
on `zscore` marks more or less of one and the same head. Here the FLAIR is first brought to one smoothness and level.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from flairline.imaging.boxes import box_of
from flairline.imaging.components import ComponentRule
from flairline.imaging.smoothing import SD_PER_FULL_WIDTH, smooth_inside
from flairline.imaging.tissue import levelled, normal_tissue
from flairline.methods.zscore import tissue_of
from flairline.postprocess.calibrated import Calibrated
from flairline.postprocess.masses import ClosedMass
from flairline.postprocess.prior import NormalPlaces
from flairline.postprocess.recipe import Recipe
from flairline.postprocess.rim import BrainRim
from flairline.types import MethodInfo, Scan, Scorer, Volume


@dataclass(frozen=True)
class Method:
    """Distance from the mode of normal tissue in half-widths, not below zero, of a smoothed and levelled FLAIR.

    Attributes
    ----------
    smoothing_mm
        Full width at half maximum of the Gaussian that the FLAIR is smoothed with, inside the brain.
    window_mm
        Standard deviation of the window in which normal tissue is brought to one level; 0 leaves it.
    """

    smoothing_mm: float = 2.0
    window_mm: float = 40.0

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="robust z-score against the normal tissue around a voxel",
        training="none",
        cost="about a second a 1 mm scan",
        channels=("flair", "t1"),
        recipes=("training-free",),
        default_rank=2,
    )

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """A scorer at once: there is nothing to learn, `healthy` is not read."""
        return self._score

    def recipe(self, name: str, model: Path | None = None) -> Recipe:
        """ "training-free": steps and threshold that were chosen on synthetic scans alone (docs/methods.md)."""
        why = "the best rule without training"
        return Recipe(
            name,
            "local_zscore",
            ComponentRule(),
            Calibrated(1.25, 38, "2 ml in lesion-free synthetic scans"),
            why if name == "default" else f"{why} on synthetic scans",
            (NormalPlaces(1.5), BrainRim(3.0)),
            mask_rules=(ClosedMass(6.0, 3.0),),
        )

    def obstacle(self) -> str:
        """None: it needs the scan alone."""
        return ""

    def _score(self, scan: Scan) -> Volume:
        score = np.zeros(scan.space.shape, np.float32)
        box = box_of(scan.brain.array)
        brain, tissue = scan.brain.array[box], tissue_of(scan)[box]
        sigma = self.smoothing_mm * SD_PER_FULL_WIDTH / np.array(scan.spacing_mm)
        flair = smooth_inside(scan.flair.array[box], brain, sigma)
        if self.window_mm > 0:
            flair = levelled(flair, tissue, scan.spacing_mm, self.window_mm)
        z = normal_tissue(flair[tissue]).z(flair)
        score[box] = np.where(brain, np.maximum(z, 0), 0)
        return Volume(score, scan.space)
