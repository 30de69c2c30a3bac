"""The one vocabulary of tissue classes, and where the tissue of a brain lies before it is deformed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError

CLASSES = (
    "outside",
    "csf",
    "ventricle",
    "choroid plexus",
    "cortex",
    "white matter",
    "cerebellar cortex",
    "cerebellar white matter",
    "brain stem",
    "thalamus",
    "caudate",
    "putamen",
    "pallidum",
    "hippocampus",
    "vessel",
    "soft tissue",
    "skull",
    "skin",
)
OUTSIDE, CSF, VENTRICLE, CHOROID, CORTEX, WHITE = range(6)
CEREBELLAR_CORTEX, CEREBELLAR_WHITE, STEM, THALAMUS, CAUDATE, PUTAMEN, PALLIDUM, HIPPOCAMPUS, VESSEL = range(6, 15)
SOFT, SKULL, SKIN = range(15, 18)

FREESURFER = {
    CSF: (24,),
    VENTRICLE: (4, 5, 14, 15, 43, 44, 72),
    CHOROID: (31, 63, 136, 137, 163, 164),
    CORTEX: (3, 42, *range(1000, 1036), *range(2000, 2036)),  # aparc+aseg tells its parcels apart
    WHITE: (2, 25, 41, 57, 77, 85),  # 25, 57 and 77 are lesions of the person whose map it is
    CEREBELLAR_CORTEX: (8, 47),
    CEREBELLAR_WHITE: (7, 46),
    STEM: (16, 28, 60),
    THALAMUS: (10, 49),
    CAUDATE: (11, 26, 50, 58),
    PUTAMEN: (12, 51),
    PALLIDUM: (13, 52),
    HIPPOCAMPUS: (17, 18, 53, 54),
    VESSEL: (30, 62),
    SKULL: (511, 514, 530),
    SKIN: (512, 515, 516),
}
"""FreeSurfer's numbers (and SynthSeg's for the head) -> class. Other numbers above zero are soft tissue."""
MOST_NUMBER = 20_000
"""Above FreeSurfer's largest; what is higher is soft tissue, too."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Where tissue lies, in the anatomy's own mm: a class for each voxel (`labels`) or shares of classes (`shares`).

    Either holds for one anatomy. With shares the rest of each voxel of the brain is CSF.
    """

    origin_mm: NDArray[np.float64]
    """Centre of the first voxel."""
    sides_mm: tuple[int, int, int]
    labels: NDArray[np.uint8] | None = None
    """Class of each voxel (x, y, z)."""
    shares: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    """Class -> its share of each voxel (x, y, z)."""
    to_atlas: NDArray[np.float64] | None = None
    """4x4, from its mm to those of the symmetric atlas MNI152, roughly; None where nobody asked."""

    def mirrored(self) -> Anatomy:
        """Left and right swapped; of labels whose mm are counted from their middle."""
        assert self.labels is not None
        over = np.diag([-1.0, 1.0, 1.0, 1.0])
        to_atlas = None if self.to_atlas is None else over @ self.to_atlas @ over
        return replace(self, labels=np.ascontiguousarray(self.labels[::-1]), to_atlas=to_atlas)


def labelled(classes: NDArray[np.uint8], to_atlas: NDArray[np.float64] | None = None) -> Anatomy:
    """The anatomy of a class map (x, y, z) at 1 mm in RAS+; its mm are counted from its middle."""
    origin_mm = (1 - np.array(classes.shape)) / 2
    return Anatomy(origin_mm, (1, 1, 1), np.ascontiguousarray(classes), to_atlas=to_atlas)


def to_classes(labels: NDArray[np.floating]) -> NDArray[np.uint8]:
    """FreeSurfer's numbers -> `CLASSES`, cropped to the brain and 10 voxels around it.

    Raises `InputError` where no number is one of a brain.
    """
    numbers = np.clip(np.nan_to_num(labels), 0, MOST_NUMBER).astype(np.int32)
    table = np.full(MOST_NUMBER + 1, SOFT, dtype=np.uint8)
    table[0] = OUTSIDE
    for index, known in FREESURFER.items():
        table[list(known)] = index
    classes = table[numbers]
    if not ((classes >= VENTRICLE) & (classes <= HIPPOCAMPUS)).any():
        msg = "Wanted a label map, but no voxel has a number that FreeSurfer gives a brain. Give another file."
        raise InputError(msg)
    return cropped(classes)


def cropped(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A class map cut to the brain and 10 voxels around it."""
    inside = np.argwhere((classes >= VENTRICLE) & (classes <= HIPPOCAMPUS))
    low, high = np.maximum(inside.min(axis=0) - 10, 0), inside.max(axis=0) + 11
    return np.ascontiguousarray(classes[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])
