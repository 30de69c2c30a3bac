"""Masses and scattered lesions: a mask is no threshold for both.

A mass is a component that is somewhere at least so deep: that many mm from its own border. Tumours and large infarcts
are; lesions of the white matter, however far they flow together along the ventricles, mostly are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.boxes import box_of, box_of_mm, voxels_in
from flairline.imaging.components import label_components
from flairline.imaging.nearby import within_mm
from flairline.postprocess.mask_rules import Marked
from flairline.types import BoolArray


@dataclass(frozen=True)
class GrownMass:
    """A mass grows to a lower score: hysteresis.

    Attributes
    ----------
    depth_mm
        What is somewhere at least this deep is a mass.
    level
        It takes what is connected to it and has at least this share of the threshold.
    reach_mm
        Not further than this from the mass as it was.
    """

    depth_mm: float
    level: float
    reach_mm: float

    def __call__(self, marked: Marked) -> BoolArray:
        """The mask with its masses grown."""
        mass = masses(marked.mask, marked.spacing_mm, self.depth_mm)
        if not mass.any():
            return marked.mask
        box = box_of_mm(mass, marked.spacing_mm, self.reach_mm)
        near = within_mm(mass[box], marked.spacing_mm, self.reach_mm)
        open_to_it = marked.brain[box] & (marked.score[box] >= self.level * marked.threshold)
        joined, _ = label_components(open_to_it & near | mass[box])
        grown = marked.mask.copy()
        grown[box] |= np.isin(joined, np.unique(joined[mass[box]]))
        return grown


@dataclass(frozen=True)
class ClosedMass:
    """A mass closes over its core: gaps and bays up to twice `radius_mm` wide, and what it encloses.

    Attributes
    ----------
    depth_mm
        What is somewhere at least this deep is a mass.
    radius_mm
        Of the ball that the mass is closed with.
    """

    depth_mm: float
    radius_mm: float

    def __call__(self, marked: Marked) -> BoolArray:
        """The mask with its masses closed."""
        mass = masses(marked.mask, marked.spacing_mm, self.depth_mm)
        if not mass.any():
            return marked.mask
        closed = marked.mask.copy()
        box = box_of(mass)
        closed[box] |= closed_by_ball(mass[box], marked.spacing_mm, self.radius_mm) & marked.brain[box]
        return closed


@dataclass(frozen=True)
class TighterScatter:
    """What belongs to no mass needs a higher score.

    Attributes
    ----------
    depth_mm
        What is somewhere at least this deep is a mass.
    level
        Times the threshold; what does not reach it goes.
    most
        No higher than this score.
    """

    depth_mm: float
    level: float
    most: float = float("inf")

    def __call__(self, marked: Marked) -> BoolArray:
        """The mask with all but its masses cut higher."""
        mass = masses(marked.mask, marked.spacing_mm, self.depth_mm)
        limit = max(min(self.level * marked.threshold, self.most), marked.threshold)
        return mass | (marked.mask & (marked.score >= limit))


@dataclass(frozen=True)
class BesideMass:
    """Beside a mass, what is much smaller than it and not sure goes: what is normal and bright stands out in a pressed
    brain.

    Attributes
    ----------
    depth_mm
        What is somewhere at least this deep is a mass.
    share
        A component below this share of the largest mass's volume goes,
    sure
        unless its mean score is at least this.
    ramp_mm
        How much of `sure` is asked for rises from none to all of it while the deepest component's depth goes from
        `depth_mm` less this to `depth_mm` and this, so that a hair of depth decides nothing.
    """

    depth_mm: float
    share: float
    sure: float = float("inf")
    ramp_mm: float = 0.0

    def __post_init__(self) -> None:
        if self.ramp_mm and not np.isfinite(self.sure):
            raise ValueError("BesideMass: what rises over `ramp_mm` is `sure`, which must then be a finite score")

    def __call__(self, marked: Marked) -> BoolArray:
        """The mask without what is small beside its largest mass."""
        labels, sizes = label_components(marked.mask)
        depths = depths_mm(labels, marked.spacing_mm)
        deepest = float(depths.max())
        if not deepest >= self.depth_mm - self.ramp_mm:
            return marked.mask
        mass = depths >= min(self.depth_mm, deepest)
        demand = self.sure
        if self.ramp_mm:
            demand *= min((deepest - self.depth_mm + self.ramp_mm) / (2 * self.ramp_mm), 1.0)
        total = np.bincount(labels.ravel(), weights=marked.score.ravel(), minlength=sizes.size)
        is_sure = total >= demand * np.maximum(sizes, 1)
        kept = mass | (sizes >= self.share * sizes[mass].max()) | is_sure
        kept[0] = False
        return kept[labels]


def masses(mask: BoolArray, spacing_mm: Sequence[float], depth_mm: float) -> BoolArray:
    """The components (26-connected) of a mask (x, y, z) that are somewhere at least `depth_mm` deep."""
    labels, _ = label_components(mask)
    deep = depths_mm(labels, spacing_mm) >= depth_mm
    deep[0] = False
    return deep[labels]


def depths_mm(labels: NDArray[np.integer], spacing_mm: Sequence[float]) -> NDArray[np.float64]:
    """How deep each numbered component (x, y, z) is: from its innermost voxel to the nearest outside it, in mm.

    Entry i is that of the number i, 0 for number 0. What is outside the array is outside the component.
    """
    boxes = ndimage.find_objects(labels)
    depths = np.zeros(len(boxes) + 1)
    for number, box in enumerate(boxes, start=1):
        if box is not None:
            inside = np.pad(labels[box] == number, 1)
            depths[number] = ndimage.distance_transform_edt(inside, sampling=spacing_mm).max()
    return depths


def closed_by_ball(mask: BoolArray, spacing_mm: Sequence[float], radius_mm: float) -> BoolArray:
    """A mask (x, y, z) closed with a ball, and without holes; nothing grows over the end of the array."""
    margin = (voxels_in(radius_mm, spacing_mm) + 1).tolist()
    padded = np.pad(mask, [(m, m) for m in margin])
    dilated = within_mm(padded, spacing_mm, radius_mm)
    closed = ~within_mm(~dilated, spacing_mm, radius_mm)
    inner = tuple(slice(m, -m) for m in margin)
    return ndimage.binary_fill_holes(closed | padded)[inner]
