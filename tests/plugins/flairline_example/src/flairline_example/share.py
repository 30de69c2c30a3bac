"""A metric: share of the brain that is lesion."""

import numpy as np


def metric(truth: np.ndarray, brain: np.ndarray) -> float:
    """NaN without a brain."""
    return float((truth & brain).sum() / brain.sum()) if brain.any() else float("nan")
