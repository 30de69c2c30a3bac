"""What may happen to a mask after the threshold, by rules that see no label. A rule maps a mask to a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from flairline.imaging.boxes import box_of
from flairline.types import BoolArray, FloatArray, Mask, Volume


@dataclass(frozen=True, eq=False)
class Marked:
    """What a rule looks at, all (x, y, z) on one grid.

    Attributes
    ----------
    mask
        What is marked so far.
    score, brain
        The score that it was made of, and where it may be marked.
    spacing_mm
        Voxel sides.
    threshold
        The score from which on voxels were marked.
    """

    mask: BoolArray
    score: FloatArray
    brain: BoolArray
    spacing_mm: tuple[float, float, float]
    threshold: float


class MaskRule(Protocol):
    """One rule, a frozen dataclass of plain values."""

    def __call__(self, marked: Marked) -> BoolArray:
        """The changed mask: same grid, nothing outside the brain."""


def after_rules(mask: Mask, score: Volume, brain: Mask, threshold: float, rules: Sequence[MaskRule]) -> Mask:
    """The mask after all rules, in their order; they work in the brain's box, which is a third of a volume."""
    if not rules or not mask.array.any():
        return mask
    box = box_of(brain.array)
    marked = Marked(mask.array[box], score.array[box], brain.array[box], mask.space.spacing_mm, threshold)
    for rule in rules:
        marked = replace(marked, mask=rule(marked))
    whole = np.zeros_like(mask.array)
    whole[box] = marked.mask
    return Mask(whole, mask.space)
