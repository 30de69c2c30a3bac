"""Where the Dice goes: what of a mask is false, by its place beside the truth, and what of the truth is missing.

Lesions and the mask's components are 26-connected, as everywhere. Distances are those between voxel centres in mm, so
that on slices of 8 mm the next slice is far away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.evaluation.counts import Counts
from flairline.evaluation.judged_scan import JudgedScan
from flairline.imaging.boxes import box_of, box_of_mm
from flairline.imaging.components import ComponentRule, label_components
from flairline.imaging.measure import Naming, dice
from flairline.imaging.nearby import within_mm
from flairline.types import BoolArray

BORDER_MM = 3.0
"""What is false and this near to the truth (inclusive) is its border; what is further away is far."""
FOUND, ISLAND, FAR, BORDER, MISSED, INSIDE = "found", "island", "far", "border", "missed", "inside"
FIGURES = {
    "dice": "Dice of the mask",
    "dice_at_own_best": "at each scan's own best threshold",
    "dice_without_islands": "without the false islands",
    "dice_without_far": "and without what is false and far",
    "dice_without_false": "without any false voxel",
    "dice_with_missed_lesions": "with every missed lesion",
    "dice_with_whole_lesions": "with the missing parts of all lesions",
    "false_islands_ml": "falsely marked: islands, ml",
    "false_far_ml": "falsely marked: far, ml",
    "false_border_ml": "falsely marked: border, ml",
    "missed_lesions_ml": "missed lesions, ml",
    "missed_inside_ml": "missing in touched lesions, ml",
}
"""Name -> what the table calls it, in the table's order."""


@dataclass(frozen=True, eq=False)
class Differences:
    """Every voxel (x, y, z) in which a mask and a truth differ, by kind; no voxel is of two.

    Attributes
    ----------
    islands
        Components of the mask that share no voxel with the truth.
    far, border
        What is false in the other components: more than `BORDER_MM` from the truth, and the rest.
    missed
        Lesions that share no voxel with the mask.
    inside
        What the mask lacks of the other lesions.
    """

    islands: BoolArray
    far: BoolArray
    border: BoolArray
    missed: BoolArray
    inside: BoolArray

    @classmethod
    def of(cls, mask: BoolArray, truth: BoolArray, spacing_mm: tuple[float, float, float]) -> Differences:
        """The differences of two masks on one grid."""
        islands, missed = untouched(mask, truth), untouched(truth, mask)
        false = mask & ~truth & ~islands
        near = near_to(truth, spacing_mm)
        return cls(islands, false & ~near, false & near, missed, truth & ~mask & ~missed)

    @classmethod
    def boxed(cls, mask: BoolArray, truth: BoolArray, spacing_mm: tuple[float, float, float]) -> Differences:
        """The same, cut to the box that holds both masks: all that their volumes need."""
        box = box_of(mask | truth)
        return cls.of(mask[box], truth[box], spacing_mm)


@dataclass(frozen=True)
class Piece:
    """A connected part of what a mask found, marked falsely or missed.

    Attributes
    ----------
    kind
        "found" and "inside": what the mask has and lacks of a lesion that it touches; "missed": a whole lesion;
        "border": what is false beside a lesion, the nearest one; "island", "far": connected false voxels.
    ml
        Its volume.
    size_ml
        The volume that it is sorted by: its lesion's, or its own ("island", "far").
    region
        Of its lesion, or its own; empty where regions are not known.
    voxel
        Its middle (x, y, z) in the axial slice that holds most of it.
    """

    kind: str
    ml: float
    size_ml: float
    region: str
    voxel: tuple[int, int, int]


def untouched(components: BoolArray, other: BoolArray) -> BoolArray:
    """The components of the first mask (x, y, z) that share no voxel with the second."""
    if not components.any():
        return np.zeros_like(components)
    labels, sizes = label_components(components)
    alone = np.ones(sizes.size, np.bool_)
    alone[np.unique(labels[components & other])] = False
    alone[0] = False
    return alone[labels]


def near_to(truth: BoolArray, spacing_mm: tuple[float, float, float], reach_mm: float = BORDER_MM) -> BoolArray:
    """Voxels (x, y, z) at most `reach_mm` from the truth; none without a truth."""
    near = np.zeros_like(truth)
    if truth.any():
        box = box_of_mm(truth, spacing_mm, reach_mm)
        near[box] = within_mm(truth[box], spacing_mm, reach_mm)
    return near


def figures(mask: BoolArray, truth: BoolArray, differences: Differences, voxel_ml: float) -> dict[str, float]:
    """`FIGURES` but "dice_at_own_best": Dice as it is and with one kind of error taken away, and volumes in ml.

    Without lesions every Dice and what is missed is NaN.
    """
    gone = differences
    mended = {
        "dice": mask,
        "dice_without_islands": mask & ~gone.islands,
        "dice_without_far": mask & ~gone.islands & ~gone.far,
        "dice_without_false": mask & truth,
        "dice_with_missed_lesions": mask | gone.missed,
        "dice_with_whole_lesions": mask | truth,
    }
    volumes = {
        "false_islands_ml": gone.islands,
        "false_far_ml": gone.far,
        "false_border_ml": gone.border,
        "missed_lesions_ml": gone.missed,
        "missed_inside_ml": gone.inside,
    }
    has_lesions = bool(truth.any())
    found = {name: dice(array, truth) if has_lesions else float("nan") for name, array in mended.items()}
    for name, array in volumes.items():
        is_defined = has_lesions or name.startswith("false")
        found[name] = float(np.count_nonzero(array) * voxel_ml) if is_defined else float("nan")
    return found


def dice_at_own_best(scan: JudgedScan, components: ComponentRule) -> float:
    """Dice of a scan at the threshold that is best for it, small components removed; NaN without lesions.

    The scores are binned as a cohort's are (`Counts`), so a threshold between two bins may be better by a hair.
    """
    counts = Counts.empty()
    counts.update(scan, "", components.smallest_kept_voxels, components.connectivity)
    return counts.oracle().dice


def pieces_of(
    mask: BoolArray,
    truth: BoolArray,
    differences: Differences,
    spacing_mm: tuple[float, float, float],
    naming: Naming | None = None,
) -> list[Piece]:
    """Every piece of a scan: those of kind "found", "inside" and "missed" add up to the truth; found, border, far and
    island to the mask.

    Parameters
    ----------
    naming
        Gives numbered components their regions; None: regions are not known.
    """
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    lesions, sizes = label_components(truth)
    names = _named(lesions, sizes.size, naming)
    by_lesion: Mapping[str, BoolArray] = {
        FOUND: truth & mask,
        INSIDE: differences.inside,
        MISSED: differences.missed,
    }
    found: list[Piece] = []
    for kind, voxels in by_lesion.items():
        found += _pieces(kind, np.where(voxels, lesions, 0), sizes * voxel_ml, names, voxel_ml)
    if differences.border.any():
        nearest = _nearest(lesions, differences.border, spacing_mm)
        found += _pieces(BORDER, nearest, sizes * voxel_ml, names, voxel_ml)
    for kind, voxels in {ISLAND: differences.islands, FAR: differences.far}.items():
        labels, own = label_components(voxels)
        found += _pieces(kind, labels, own * voxel_ml, _named(labels, own.size, naming), voxel_ml)
    return found


def _pieces(
    kind: str, labels: NDArray[np.integer], size_ml: NDArray[np.floating], names: list[str], voxel_ml: float
) -> Iterator[Piece]:
    """One piece a number that has voxels."""
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        places = np.argwhere(labels[box] == number) + [side.start for side in box]
        heights, counts = np.unique(places[:, 2], return_counts=True)
        z = int(heights[counts.argmax()])
        x, y = np.rint(places[places[:, 2] == z, :2].mean(axis=0)).astype(int).tolist()
        yield Piece(kind, len(places) * voxel_ml, float(size_ml[number]), names[number], (x, y, z))


def _nearest(lesions: NDArray[np.integer], voxels: BoolArray, spacing_mm: tuple[float, ...]) -> NDArray[np.integer]:
    """The number of the nearest lesion at each of `voxels`, which are near to one; 0 elsewhere."""
    box = box_of_mm(lesions > 0, spacing_mm, BORDER_MM)
    to_lesion = ndimage.distance_transform_edt(
        lesions[box] == 0, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    numbers = np.zeros_like(lesions)
    numbers[box] = np.where(voxels[box], lesions[box][tuple(to_lesion)], 0)
    return numbers


def _named(labels: NDArray[np.integer], count: int, naming: Naming | None) -> list[str]:
    """The region of each number, an empty word for 0."""
    return [""] * count if naming is None or count == 1 else ["", *naming(labels)]
