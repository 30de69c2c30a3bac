"""Area under the precision-recall curve by steps, as most of the field reports it."""

import numpy as np

from flairline.evaluation.counts import Counts, precision_recall


def metric(counts: Counts) -> float:
    """scikit-learn's `average_precision_score`; NaN without lesion voxels."""
    if counts.positives == 0:
        return float("nan")
    precision, recall = precision_recall(counts)
    return float((np.diff(recall, prepend=0.0) * precision).sum())
