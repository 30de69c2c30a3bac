"""Drawn lesions painted into crops of real scans that nobody labelled.

What a model is sure of teaches it nothing of faint lesions, of small ones and of borders. A lesion that is painted into
real tissue is known to the voxel, and all around it, coils, slices and normal bright places are those of a scanner.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.synthesis.training import MIN_LESION, NEARBY

LARGEST_VOXELS = 10_000
"""Larger drawn lesions are not painted: tumours are more than brighter tissue."""
HEIGHT = (3.0, 0.45)
"""Median of the brightness that is added, in half-widths, and the standard deviation of its logarithm."""
BLUR = (0.5, 1.3)
"""Smallest and largest standard deviation of a painted border, in voxels of 1 mm."""
FLUID = -2.0
"""Nothing is painted where a scan is darker, in half-widths."""
DARKER = (0.1, 0.5)
"""How much darker a T1 becomes, as a share of what is added to the FLAIR."""

Crop = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def painted(crop: Crop, shape: NDArray[np.bool_], rng: np.random.Generator) -> Crop:
    """A crop with lesions painted into it.

    Parameters
    ----------
    crop
        FLAIR in half-widths, truth (below 0 where nothing is said) and T1 in half-widths (0: there is none), each
        (x, y, z) at 1 mm.
    shape
        Where there is drawn lesion.

    Returns
    -------
    tuple
        The same three. The truth follows the rule of synthetic scans of white-matter disease: half of what the lesion
        has nearby.
    """
    image, truth, t1 = crop
    labels, count = ndimage.label(shape, np.ones((3, 3, 3), bool))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    small = (sizes <= LARGEST_VOXELS) & (np.arange(count + 1) > 0)
    if not small.any():
        return crop
    blur = rng.uniform(*BLUR)
    heights = np.where(small, np.exp(rng.normal(np.log(HEIGHT[0]), HEIGHT[1], count + 1)), 0).astype(np.float32)
    tissue = (image > FLUID).astype(np.float32)
    share = ndimage.gaussian_filter(small[labels] * tissue, blur)
    added = ndimage.gaussian_filter(heights[labels] * tissue, blur)
    lesion = (share >= MIN_LESION) & (share >= 0.5 * ndimage.maximum_filter(share, NEARBY)) & (tissue > 0)
    darker = np.where(t1 == 0, 0, added * np.float32(rng.uniform(*DARKER)))
    return np.where(tissue > 0, image + added, image), np.where(lesion, 1, truth).astype(np.float32), t1 - darker
