"""Dice of one scan's mask at the cohort's oracle threshold."""

from flairline.metrics.dice import metric as dice
from flairline.types import BoolArray


def metric(mask_at_oracle: BoolArray, truth: BoolArray) -> float:
    """As `dice`; the threshold was chosen on the cohort's labels, this scan's among them."""
    return dice(mask_at_oracle, truth)
