"""One more anatomy for the synthesis: the average brain in nilearn's wheel, as a map of `anatomy.CLASSES`.

The MNI152 2009a templates (Fonov et al. 2011, https://doi.org/10.1016/j.neuroimage.2010.07.033) give grey and white
matter and the brain; what they do not tell apart (ventricles, brain stem, cerebellum, nuclei) is told by connection
and by place in MNI space, roughly. There is no skull and no plexus.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.io.nifti import read_volume
from flairline.preprocess.atlas import mni_file
from flairline.synthesis import anatomy as brain

NAME = "nilearn's MNI152 2009a"
"""What the model card calls it."""
RIM_MM = 3.0
"""CSF that comes this near to the brain's border is not a ventricle, nor is anything connected to it."""
LINING_MM = 4.0
"""Grey this near to a ventricle and thinner than 5 mm is the border's partial volume, not grey matter."""


def mni_files() -> tuple[Path, Path, Path]:
    """T1, grey and white matter templates in nilearn's wheel. Raises `MissingExtraError` where it is not installed."""
    t1 = mni_file()
    grey, white = (t1.with_name(t1.name.replace("_t1_", f"_{kind}_")) for kind in ("gm", "wm"))
    return t1, grey, white


def mni_classes() -> NDArray[np.uint8]:
    """Class map (x, y, z) at 1 mm in RAS+, cut to the brain and 10 voxels around it as `to_classes` does."""
    return brain.cropped(mni_class_map()[0])


def mni_class_map() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Class map (x, y, z) of the templates' whole grid of 1 mm in RAS+, and the centre of its first voxel in mm."""
    t1, grey, white = (read_volume(path) for path in mni_files())
    corner = t1.space.vox_to_ras[:3, 3]
    axes = [np.arange(side) + first for side, first in zip(t1.array.shape, corner, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    head = ndimage.binary_fill_holes(t1.array > 0)
    return _classes(head, grey.array / 255, white.array / 255, np.abs(x), y, z), corner


def _classes(
    head: NDArray[np.bool_],
    grey_share: NDArray[np.floating],
    white_share: NDArray[np.floating],
    side: NDArray[np.floating],
    y: NDArray[np.floating],
    z: NDArray[np.floating],
) -> NDArray[np.uint8]:
    """Classes from shares of tissue and the place in mm; `side` is the distance from the midline."""
    tissue = grey_share + white_share >= 0.5
    fluid = head & ~tissue
    ventricle = _enclosed(fluid, head)
    grey = tissue & (grey_share >= white_share)
    lining = ndimage.distance_transform_edt(~ventricle) <= LINING_MM
    grey &= ~lining | ndimage.binary_opening(grey, iterations=2)
    stem = (y > -46) & (y < -6) & (z < -8) & (side < np.where(z < -20, 17, 12))
    behind = (y < -36) & (z < -6 - 0.3 * side + 0.15 * (y + 45)) | (y < -28) & (z < -34) & (side < 48)
    classes = np.where(fluid, brain.CSF, brain.OUTSIDE)
    classes[tissue] = np.where(grey, brain.CORTEX, brain.WHITE)[tissue]
    within = grey & (z > -10) & (z < 24) & (y > -36) & (y < 26) & (side < 32)
    classes[within & (side < 24) & (y <= 0) & (z > -6)] = brain.THALAMUS
    classes[within & (side < 20) & (side > 4) & (y > 0) & (z > -6)] = brain.CAUDATE
    classes[within & (side >= 20) & (y > -20)] = brain.PUTAMEN
    classes[(tissue & behind)] = np.where(grey, brain.CEREBELLAR_CORTEX, brain.CEREBELLAR_WHITE)[tissue & behind]
    classes[tissue & stem] = brain.STEM
    classes[ventricle] = brain.VENTRICLE
    return classes.astype(np.uint8)


def _enclosed(fluid: NDArray[np.bool_], head: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The fluid's components that stay away from the head's border."""
    labels, count = ndimage.label(fluid)
    near_rim = np.unique(labels[head & (ndimage.distance_transform_edt(head) <= RIM_MM)])
    inside = np.setdiff1d(np.arange(1, count + 1), near_rim)
    return np.isin(labels, inside)
