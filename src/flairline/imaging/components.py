"""Removing connected components that are too small to be a lesion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cc3d
import numpy as np
from numpy.typing import NDArray

from flairline.types import BoolArray

Connectivity = Literal[6, 18, 26]


@dataclass(frozen=True)
class ComponentRule:
    """Which connected components of a mask stay.

    Attributes
    ----------
    min_voxels
        A component with fewer voxels goes; one with exactly `min_voxels` stays (section 3.4 of the paper: "less than
        20 voxels" go). 0 or 1 keeps everything.
    connectivity
        26: voxels that share a corner are one component.
    legacy_filled_area
        The published code's rule: a component goes if its filled area is <= 20, one voxel more than the paper's text.
        With 26-connected background a hole needs at least 26 voxels around it, so no component of up to 20 voxels
        has one, and the rule is exactly "at least `min_voxels` + 1 voxels stay".
    """

    min_voxels: int = 20
    connectivity: Connectivity = 26
    legacy_filled_area: bool = False

    @property
    def smallest_kept_voxels(self) -> int:
        """The size from which on a component stays (inclusive)."""
        return self.min_voxels + 1 if self.legacy_filled_area else self.min_voxels


def remove_small_components(mask: BoolArray, rule: ComponentRule) -> BoolArray:
    """The mask (x, y, z) without the components that `rule` drops."""
    if rule.smallest_kept_voxels <= 1 or not mask.any():
        return mask.copy()
    labels, sizes = label_components(mask, rule.connectivity)
    keep = sizes >= rule.smallest_kept_voxels
    keep[0] = False
    return keep[labels]


def label_components(mask: BoolArray, connectivity: Connectivity = 26) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """Numbered components (x, y, z), 0 where nothing is set, and the voxels of each number (index 0: the rest)."""
    labels, count = cc3d.connected_components(mask, connectivity=connectivity, return_N=True)
    return labels, np.bincount(labels.ravel(), minlength=count + 1)
