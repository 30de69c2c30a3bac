"""Area under the ROC curve over the brain's voxels."""

from flairline.evaluation.counts import Counts, roc_area


def metric(counts: Counts) -> float:
    """Equal scores count half; NaN without lesion voxels inside the brain."""
    return roc_area(counts.brain_only())
