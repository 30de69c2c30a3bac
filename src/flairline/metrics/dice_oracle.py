"""Dice of a cohort at the threshold that is best on its own labels: an upper limit, called [DSC] in the paper."""

from flairline.evaluation.counts import Counts


def metric(counts: Counts) -> float:
    """Dice after the component filter; NaN without lesion voxels.

    Where the protocol tries thresholds of its own, the threshold is the best one before the filter, as published;
    else the best one after it, of all.
    """
    return counts.oracle().dice
