"""Share of a scan's lesions that were hit."""

from flairline.evaluation.lesions import count_hits
from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray) -> float:
    """Lesions (26-connected) that share at least one voxel with the mask; NaN where the truth has no lesion."""
    hits, lesions = count_hits(truth, mask)
    return hits / lesions if lesions else float("nan")
