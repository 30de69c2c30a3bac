"""What the U-Net can see of a scan. Plain values; no torch here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network can see of a whole scan at about 1 mm, (x, y, z) each.

    Attributes
    ----------
    image
        FLAIR in half-widths, as dark as `Z_RANGE` outside the brain.
    t1
        T1 in half-widths, 0 outside the brain; None: there is none.
    vox_to_atlas
        4x4, from voxels to mm of the atlas; None: nobody asked.
    anchor
        The voxel that the network's grid hangs on; None: the middle one.
    """

    image: NDArray[np.float32]
    t1: NDArray[np.float32] | None = None
    vox_to_atlas: NDArray[np.float64] | None = None
    anchor: tuple[int, int, int] | None = None
