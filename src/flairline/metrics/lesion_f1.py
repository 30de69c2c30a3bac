"""F1 score over lesions instead of voxels."""

from flairline.evaluation.lesions import count_hits
from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray) -> float:
    """Harmonic mean of the share of lesions hit and the share of found components that hit one; NaN without lesions.

    A hit is one shared voxel; lesions and found components are 26-connected.
    """
    hits, lesions = count_hits(truth, mask)
    if lesions == 0:
        return float("nan")
    true_finds, finds = count_hits(mask, truth)
    recall, precision = hits / lesions, true_finds / finds if finds else 0.0
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0
