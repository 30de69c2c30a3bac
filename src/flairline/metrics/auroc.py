"""Area under the ROC curve over all voxels, background included, as the paper reports it."""

from flairline.evaluation.counts import Counts, roc_area


def metric(counts: Counts) -> float:
    """Equal scores count half; NaN without lesion voxels. Mostly background: compare `auroc_brain`."""
    return roc_area(counts)
