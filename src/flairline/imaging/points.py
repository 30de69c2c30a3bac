"""Where a point of one space lies in another, and moving images and masks by it.

A `PointMap` goes from points to points. Carrying an *image* from native space to the atlas needs the map of the
*points* from the atlas to native space, because for every voxel of the atlas one asks where to look in the native
image; that is how ITK, and so Slicer, ITK-SNAP and ANTs, apply a transform file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flairline.imaging.resample import mask_partial_volume, resample_volume
from flairline.types import Mask, Space, Volume


@dataclass(frozen=True, eq=False)
class PointMap:
    """An affine map of points (RAS mm): `ras_to_ras @ [point in source, 1]` is the same point in `target`."""

    source: str
    target: str
    ras_to_ras: NDArray[np.float64]

    def inverse(self) -> PointMap:
        """The map back."""
        return PointMap(self.target, self.source, np.linalg.inv(self.ras_to_ras).astype(np.float64))

    def then(self, other: PointMap) -> PointMap:
        """This map, followed by `other`, which must start where this one ends."""
        if self.target != other.source:
            msg = f"a map to {self.target} cannot be followed by one from {other.source}"
            raise ValueError(msg)
        return PointMap(self.source, other.target, other.ras_to_ras @ self.ras_to_ras)


def identity(source: str, target: str) -> PointMap:
    """The map for two spaces that share their coordinates."""
    return PointMap(source, target, np.eye(4))


def carry_volume(image: Volume, onto: Space, onto_to_image: PointMap, outside: float = 0.0) -> Volume:
    """An image on another grid, by one linear interpolation; `onto_to_image` maps points of `onto` to the image's."""
    return resample_volume(Volume(image.array, _seen_from(image.space, onto_to_image)), onto, outside)


def carry_partial_volume(mask: Mask, onto: Space, onto_to_mask: PointMap) -> NDArray[np.float32]:
    """Share of each voxel of `onto` that the mask fills, in [0, 1]."""
    return mask_partial_volume(Mask(mask.array, _seen_from(mask.space, onto_to_mask)), onto)


def carry_mask(mask: Mask, onto: Space, onto_to_mask: PointMap, min_partial_volume: float = 0.5) -> Mask:
    """A mask on another grid, set where its partial volume reaches `min_partial_volume` (inclusive)."""
    return Mask(carry_partial_volume(mask, onto, onto_to_mask) >= min_partial_volume, onto)


def _seen_from(space: Space, onto_to_image: PointMap) -> Space:
    """The image's grid in the coordinates of the space it is carried to."""
    return replace(space, vox_to_ras=np.linalg.inv(onto_to_image.ras_to_ras) @ space.vox_to_ras, stored=None)
