"""How many half-widths a voxel is brighter than the scan's own normal tissue. Needs nothing but the scan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flairline.imaging.tissue import NormalTissue, normal_tissue
from flairline.types import BoolArray, MethodInfo, Scan, Scorer, Volume

TISSUE_WIDTHS = 2.0
"""With a T1, tissue is what lies within this many half-widths of the T1's own peak: no CSF, no dark lesions."""
MIN_TISSUE_SHARE = 0.25
"""If less of the brain than this is tissue by the T1, the T1 is not trusted and the whole brain is used."""


@dataclass(frozen=True)
class Method:
    """Distance from the mode of the brain's histogram in half-widths, not below zero.

    Unlike an equalised histogram, a healthy brain has few bright voxels by this measure, so a fixed threshold marks
    little of it.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="robust z-score against the scan's own normal tissue",
        training="none",
        cost="under a second a 1 mm scan",
        channels=("flair", "t1"),
    )

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """A scorer at once: there is nothing to learn, `healthy` is not read."""
        return self._score

    def _score(self, scan: Scan) -> Volume:
        z = reference(scan).z(scan.flair.array)
        z[~scan.brain.array] = 0
        return Volume(np.maximum(z, 0), scan.space)


def reference(scan: Scan) -> NormalTissue:
    """The FLAIR's normal tissue: of the whole brain, or of what the T1 says is tissue where there is a T1."""
    return normal_tissue(scan.flair.array[tissue_of(scan)])


def tissue_of(scan: Scan) -> BoolArray:
    """Where tissue is, whose histogram is asked (x, y, z): all of the brain, or what the T1 says."""
    brain = scan.brain.array
    if scan.t1 is None:
        return brain
    tissue = np.zeros_like(brain)
    tissue[brain] = is_tissue(scan.t1.array[brain])
    return tissue if tissue[brain].mean() >= MIN_TISSUE_SHARE else brain


def is_tissue(t1_values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which of a brain's T1 values are near the peak of its histogram; constant values are all tissue."""
    return np.abs(normal_tissue(t1_values).z(t1_values)) <= TISSUE_WIDTHS
