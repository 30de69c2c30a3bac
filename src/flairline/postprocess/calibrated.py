"""Thresholds with a meaning that need no labels of the scans they are used on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flairline.imaging.components import label_components
from flairline.learning.calibration import best_expected_dice
from flairline.learning.model import ModelFolder
from flairline.postprocess.masses import depths_mm
from flairline.types import BoolArray, Mask, Threshold, Volume

MASS_MM = (8.0, 12.0)
"""A mask that is somewhere this deep keeps a part of the threshold that it could raise, and all of it at the second."""
RAISED = "largest expected Dice"
"""The rule of a threshold that a scan raised."""


@dataclass(frozen=True)
class Calibrated:
    """A value from other scans than those it is used on: synthetic ones, whose lesions are known as they were drawn."""

    value: float
    scans: int
    rule: str = "best mean Dice on synthetic scans"
    what: str = "synthetic scans"

    marks_fixed_share: ClassVar[bool] = False

    def choose(self, score: Volume, brain: Mask) -> Threshold:
        """The same value for every scan."""
        return Threshold(self.value, self.rule, f"{self.scans} {self.what}")


@dataclass(frozen=True)
class ModelThreshold:
    """The threshold that a model folder says it was calibrated to.

    If the folder says that it raises, a scan whose largest expected Dice is more than twice that threshold gets half of
    its expected Dice instead: what is large and sure needs less of a doubtful rim around it. Not so a mass, which fades
    into the tissue that it grows into: the deeper a mask is (`MASS_MM`), the nearer its threshold stays to the model's.
    """

    folder: Path
    method: str

    marks_fixed_share: ClassVar[bool] = False

    def calibration(self) -> dict[str, Any]:
        """What config.json says under ``calibration``. Raises `ModelError` if the folder is broken."""
        return ModelFolder(self.folder).config_of(self.method)["calibration"]

    def choose(self, score: Volume, brain: Mask) -> Threshold:
        """The model's threshold, or this scan's. Raises `ModelError` if the folder is broken."""
        calibration = self.calibration()
        if calibration.get("raises"):
            fixed = float(calibration["threshold"])
            raised = best_expected_dice(score.array[brain.array]) / 2
            if raised > fixed:
                raised += (fixed - raised) * _mass((score.array >= fixed) & brain.array, score.space.spacing_mm)
            if raised > fixed:
                where = f"this scan, with probabilities from {calibration['scans']} synthetic scans"
                return Threshold(raised, RAISED, where)
        return Calibrated(float(calibration["threshold"]), int(calibration["scans"])).choose(score, brain)


def _mass(mask: BoolArray, spacing_mm: tuple[float, float, float]) -> float:
    """How much of a mass a mask (x, y, z) is: 0 up to the first of `MASS_MM`, 1 from the second on."""
    shallow, deep = MASS_MM
    labels, _ = label_components(mask)
    voxels = np.bincount(labels.ravel())
    large = voxels * math.prod(spacing_mm) >= 4 / 3 * math.pi * shallow**3  # others hold no such ball
    large[0] = False
    if not large.any():
        return 0.0
    deepest = depths_mm(np.where(large[labels], labels, 0), spacing_mm).max()
    return float(np.clip((deepest - shallow) / (deep - shallow), 0, 1))


def healthy_quantile(folder: Path, family: str, method: str, share: str = "0.99") -> Calibrated | None:
    """The score that 1 % of the held-out healthy brain exceeded, as the model folder says; None if it does not say.

    Raises
    ------
    ModelError
        The folder is missing, broken, foreign or newer.
    """
    config = ModelFolder(folder).config_of(family)
    value = config.get("healthy_quantiles", {}).get(method, {}).get(share)
    if value is None:
        return None
    scans = len(config["training"]["validation_scans"])
    return Calibrated(float(value), scans, f"quantile {share} of healthy brain", "held-out healthy scans")
