"""Area under the precision-recall curve by the trapezoid rule, as the paper reports it."""

import numpy as np

from flairline.evaluation.counts import Counts, precision_recall


def metric(counts: Counts) -> float:
    """scikit-learn's `auc(recall, precision)`, from recall 0 at precision 1; NaN without lesion voxels."""
    if counts.positives == 0:
        return float("nan")
    precision, recall = precision_recall(counts)
    return float(np.trapezoid(np.append(1.0, precision), np.append(0.0, recall)))
