"""95th percentile of the distance between the surfaces of mask and truth."""

import numpy as np
from scipy import ndimage

from flairline.types import BoolArray


def metric(mask: BoolArray, truth: BoolArray, spacing_mm: tuple[float, float, float]) -> float:
    """The larger of both directions' 95th percentiles, in mm between voxel centres; NaN where either is empty.

    A surface is the voxels that have a neighbour by face outside; beyond the array everything is outside.
    """
    if not mask.any() or not truth.any():
        return float("nan")
    box = ndimage.find_objects((mask | truth).astype(np.uint8))[0]
    surfaces = [_surface(which[box]) for which in (mask, truth)]
    directions = [
        np.percentile(ndimage.distance_transform_edt(~other, sampling=spacing_mm)[surface], 95)
        for surface, other in (surfaces, surfaces[::-1])
    ]
    return float(max(directions))


def _surface(mask: BoolArray) -> BoolArray:
    return mask & ~ndimage.binary_erosion(mask)
