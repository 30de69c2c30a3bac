"""What a brain mask leaves of the head around a brain, as it is drawn: eyes, muscle, dura, the base of the skull."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from flairline.synthesis import anatomy as tissue
from flairline.synthesis.lesions import Blob
from flairline.synthesis.pencil import Pencil

SHARE = 0.25
"""Share of the scans that have such remnants."""
MOST = 5
FARTHEST_MM = 22.0
"""How far from the brain their middles may lie."""


def draw_remnants(pencil: Pencil) -> tuple[Blob, ...]:
    """Lumps of what is not brain, near it, mostly below its middle; none for most scans."""
    rng, labels = pencil.rng, pencil.site.labels
    if rng.random() >= SHARE:
        return ()
    inside = (labels >= tissue.VENTRICLE) & (labels <= tissue.VESSEL)
    far_mm = 2 * ndimage.distance_transform_edt(~inside)
    voxels = np.argwhere((labels >= tissue.SOFT) & (far_mm <= FARTHEST_MM))
    if not len(voxels):
        return ()
    middle = np.argwhere(inside)[:, 2].mean()
    weights = np.where(voxels[:, 2] < middle, 1.0, 0.15)
    lumps = []
    for voxel in voxels[rng.choice(len(voxels), int(rng.integers(1, MOST + 1)), p=weights / weights.sum())] * 2:
        radii_mm = float(rng.uniform(4, 14)) * rng.uniform(0.6, 1.4, 3)
        lumps.append(pencil.blob(voxel, radii_mm, float(rng.uniform(0.1, 0.4)), 1.0))
    return tuple(lumps)
