"""What tissue lies where in the atlas, for a network that shall know its place: ``python -m ... OUT.npz`` makes it.

It is made of the average brain in nilearn's wheel alone (`mni_classes`).
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.synthesis import anatomy as tissue
from flairline.synthesis.mni_classes import mni_class_map

STEP_MM = 3
BLUR_MM = 2.0
"""People differ by more than the atlas's voxel."""
MAPS = {
    "white": (tissue.WHITE,),
    "cortex": (tissue.CORTEX,),
    "deep grey": (tissue.THALAMUS, tissue.CAUDATE, tissue.PUTAMEN, tissue.PALLIDUM),
    "ventricle": (tissue.VENTRICLE,),
    "fluid": (tissue.CSF,),
    "stem": (tissue.STEM,),
    "cerebellum": (tissue.CEREBELLAR_CORTEX, tissue.CEREBELLAR_WHITE),
}
"""Name of each map -> the classes that it is the share of."""


def atlas_places() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Shares of `MAPS` (map, x, y, z), of 255, symmetric, on a grid of `STEP_MM`; centre of its first voxel in mm."""
    classes, corner = mni_class_map()
    maps = []
    for found in MAPS.values():
        share = ndimage.gaussian_filter(np.isin(classes, found).astype(np.float32), BLUR_MM)
        share = (share + share[::-1]) / 2  # the grid is symmetric about x = 0, as the atlas is
        maps.append(np.rint(255 * share[::STEP_MM, ::STEP_MM, ::STEP_MM]).astype(np.uint8))
    return np.stack(maps), np.asarray(corner, np.float64)


if __name__ == "__main__":
    shares, origin_mm = atlas_places()
    np.savez_compressed(sys.argv[1], shares=shares, origin_mm=origin_mm)
