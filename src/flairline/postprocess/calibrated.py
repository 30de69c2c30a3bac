"""Thresholds with a meaning that need no labels of the scans they are used on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special  # stats, with the same curves under other names, takes .3 s more to load

from flairline.learning.calibration import best_expected_dice
from flairline.types import Mask, Threshold, Volume

RAISED = "largest expected Dice"
"""The rule of a threshold that a scan raised."""
ROUNDS = 20
"""Rounds in which the width of normal tissue settles."""


@dataclass(frozen=True)
class Calibrated:
    """A value from other scans than those it is used on: synthetic ones, whose lesions are known as they were drawn."""

    value: float
    scans: int
    rule: str = "best mean Dice on synthetic scans"
    what: str = "synthetic scans"

    def choose(self, score: Volume, brain: Mask) -> Threshold:
        """The same value for every scan."""
        return Threshold(self.value, self.rule, f"{self.scans} {self.what}")


@dataclass(frozen=True)
class ModelThreshold:
    """The threshold that a model folder says it was calibrated to.

    If the folder says that it raises, a scan whose largest expected Dice is more than twice that threshold gets half of
    its expected Dice instead: what is large and sure needs less of a doubtful rim around it.
    """

    folder: Path
    method: str

    def calibration(self) -> dict[str, Any]:
        """What config.json says under ``calibration``. Raises `ModelError` if the folder is broken."""
        from flairline.learning.model import load_config

        return load_config(self.folder, self.method)["calibration"]

    def choose(self, score: Volume, brain: Mask) -> Threshold:
        """The model's threshold, or this scan's. Raises `ModelError` if the folder is broken."""
        calibration = self.calibration()
        if calibration.get("raises"):
            half = best_expected_dice(score.array[brain.array]) / 2
            if half > calibration["threshold"]:
                where = f"this scan, with probabilities from {calibration['scans']} synthetic scans"
                return Threshold(half, RAISED, where)
        return Calibrated(float(calibration["threshold"]), int(calibration["scans"])).choose(score, brain)


def healthy_quantile(folder: Path, family: str, method: str, share: str = "0.99") -> Calibrated | None:
    """The score that 1 % of the held-out healthy brain exceeded, as the model folder says; None if it does not say.

    Raises
    ------
    ModelError
        The folder is missing, broken, foreign or newer.
    """
    from flairline.learning.model import load_config

    config = load_config(folder, family)
    value = config.get("healthy_quantiles", {}).get(method, {}).get(share)
    if value is None:
        return None
    scans = len(config["training"]["validation_scans"])
    return Calibrated(float(value), scans, f"quantile {share} of healthy brain", "held-out healthy scans")


@dataclass(frozen=True)
class ExpectedFalsePositives:
    """The score that normal tissue exceeds in `max_ml` of this brain, by the scan's own histogram.

    For scores that are distances from normal tissue, zero at its peak, as `zscore`. Normal tissue's positive scores
    are taken for the upper half of a normal curve; its width comes from the median of those below `sharpness` widths,
    found in a few rounds, so lesions do not widen it.
    """

    max_ml: float
    sharpness: float = 2.0

    def choose(self, score: Volume, brain: Mask) -> Threshold:
        """The threshold of one scan."""
        values = score.array[brain.array]
        bright = values[values > 0]
        rule, where = f"{self.max_ml:g} ml of normal tissue expected above it", "this scan"
        if bright.size == 0:
            return Threshold(float(np.finfo(np.float32).max), rule, where)
        quarter = (special.ndtr(self.sharpness) - 0.5) / 2  # half of what the curve has between peak and cut
        width = float(np.median(bright))
        for _ in range(ROUNDS):
            width = float(np.median(bright[bright <= self.sharpness * width])) / special.ndtri(0.5 + quarter)
        tail = min(0.5, self.max_ml / (brain.volume_ml))
        return Threshold(float(max(-width * special.ndtri(tail), np.finfo(np.float32).tiny)), rule, where)
