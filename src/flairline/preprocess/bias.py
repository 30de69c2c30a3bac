"""The slow brightness gradient that a coil leaves in an image. An option: the paper's protocols do not correct it."""

from __future__ import annotations

import numpy as np

from flairline.preprocess.register import to_sitk
from flairline.types import Mask, Space, Volume

GRID_MM = 6.0
"""The field is estimated on voxels about this far apart: it is smooth, and N4 is slow. Its finest splines have knots
about 25 mm apart, too close for voxels of 12 mm; thick slices are all looked at."""
MIN_SIDE = 8
"""No side of that grid has fewer voxels, unless the image's has."""
ITERATIONS = (50, 50, 30, 20)


def correct_bias(image: Volume, brain: Mask) -> Volume:
    """N4 (Tustison et al. 2010) inside the brain; the voxels outside keep their values.

    Values in the brain must be positive for a multiplicative field, so the image is shifted by its minimum in the
    brain while the field is estimated and applied.
    """
    import SimpleITK as sitk

    floor = float(min(image.array[brain.array].min(), 0.0))
    full = to_sitk(Volume(np.where(brain.array, image.array - floor, 0), image.space))
    mask = sitk.Cast(to_sitk(Volume(brain.array.astype(np.float32), image.space)), sitk.sitkUInt8)
    shrink = shrink_factors(image.space)
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations(ITERATIONS)
    corrector.SetNumberOfThreads(1)  # sums over threads come in any order; one thread gives the same bytes each time
    corrector.Execute(sitk.Shrink(full, shrink), sitk.Shrink(mask, shrink))
    log_field = sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(full)).T  # (z, y, x) -> (x, y, z)
    corrected = (image.array - floor) / np.exp(log_field) + floor
    return Volume(np.where(brain.array, corrected, image.array).astype(np.float32), image.space)


def shrink_factors(space: Space) -> list[int]:
    """For each axis n, where N4 looks at every n-th voxel."""
    return [
        max(1, min(round(GRID_MM / spacing_mm), side // MIN_SIDE))
        for spacing_mm, side in zip(space.spacing_mm, space.shape, strict=True)
    ]
