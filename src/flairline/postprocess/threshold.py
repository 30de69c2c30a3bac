"""Thresholds that need no labels, and the mask they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from flairline.errors import InputError
from flairline.imaging.components import ComponentRule, remove_small_components
from flairline.types import Mask, Threshold, Volume


class ThresholdRule(Protocol):
    """How a threshold is found without labels."""

    @property
    def marks_fixed_share(self) -> bool:
        """True if it marks the same share of every brain, healthy or not."""

    def choose(self, score: Volume, brain: Mask) -> Threshold:
        """The threshold for one scan; `mask = score >= value`."""


@dataclass(frozen=True)
class GivenValue:
    """The user says it."""

    value: float

    marks_fixed_share: ClassVar[bool] = False

    def choose(self, score: Volume, brain: Mask) -> Threshold:
        """The given value, whatever the scan."""
        return Threshold(self.value, "given", "user")


@dataclass(frozen=True)
class BrainQuantile:
    """A quantile of the score inside the brain: the same share of every brain, healthy or not."""

    quantile: float

    marks_fixed_share: ClassVar[bool] = True

    def choose(self, score: Volume, brain: Mask) -> Threshold:
        """The smallest score of this brain that is at least its `quantile`."""
        value = float(np.quantile(score.array[brain.array], self.quantile, method="higher"))
        return Threshold(value, f"quantile {self.quantile:g} of the brain", "this scan")


def parse_threshold(text: str) -> ThresholdRule:
    """``0.95`` is a value of the score, ``q0.98`` a quantile of the brain.

    Raises
    ------
    InputError
        The text is neither.
    """
    try:
        number = float(text.removeprefix("q"))
    except ValueError:
        number = float("nan")
    if not np.isfinite(number) or (text.startswith("q") and not 0 < number < 1):
        msg = (
            f"Wanted a threshold like 0.95 (a score) or q0.98 (a quantile of the brain, between 0 and 1), got {text!r}."
        )
        raise InputError(msg)
    return BrainQuantile(number) if text.startswith("q") else GivenValue(number)


def mask_from_score(score: Volume, brain: Mask, threshold: Threshold, rule: ComponentRule) -> Mask:
    """Voxels of the brain with a score of at least the threshold, in components that `rule` keeps."""
    return Mask(remove_small_components((score.array >= threshold.value) & brain.array, rule), score.space)
