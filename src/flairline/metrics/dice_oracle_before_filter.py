"""The best Dice of a cohort without a component filter."""

from flairline.evaluation.counts import Counts


def metric(counts: Counts) -> float:
    """Highest Dice before the component filter, over the thresholds the protocol tries; NaN without lesion voxels."""
    return counts.oracle().dice_before_filter
