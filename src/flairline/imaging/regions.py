"""Which region of the brain a lesion lies in: the one rule, and the anatomy of the MNI atlas that it asks.

The words are those of the consensus on lesions of multiple sclerosis (McDonald 2017, doi:10.1016/S1474-4422(17)30470-2;
MAGNIMS-CMSC-NAIMS 2021, doi:10.1016/S1474-4422(21)00095-8): periventricular is what abuts the lateral ventricles,
juxtacortical what abuts the cortex from below, infratentorial what lies in brain stem or cerebellum. They ask for
touch. An atlas that was laid onto a scan by an affine map is some millimetres off, so touch is a distance here.

The ventricles and the parts below the tentorium are told from the atlas's tissues by connection and by place in MNI
space, roughly: laid onto SRI24, they hold 94 % of its brain stem and cerebellum and 1.4 % of its lobes, of these half
less than 3 mm deep and one in ten more than 8 mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.components import label_components
from flairline.imaging.nearby import within_mm
from flairline.imaging.tissue import normal_tissue
from flairline.io.nifti import read_volume
from flairline.types import BoolArray, Mask, Space, Volume

REGIONS = ("infratentorial", "grey matter", "periventricular", "juxtacortical", "deep white matter")
"""What `regions_of` answers, in the order in which the rule asks."""
HALF = 0.5
"""A lesion lies in the tissue that holds at least this share of its voxels (inclusive)."""
RIM_MM = 3.0
"""Fluid that comes this near to the brain's border is no ventricle, nor is anything connected to it."""
LINING_MM = 4.0
"""Grey this near to a ventricle and thinner than 5 mm is the border's partial volume, not grey matter."""
MIN_VENTRICLE_ML = 0.5
"""Less fluid is a sulcus of the average brain whose way out was blurred; the ventricles have 17 ml."""
SAMPLED = 7
"""A seventh of the brain's voxels is plenty for its histogram."""
SEEN_WITHIN_MM = 12.0
"""How far the scan's own ventricles may reach beyond the atlas's: those of an old brain are wide."""


@dataclass(frozen=True)
class Reach:
    """Up to which distance (inclusive, between voxel centres) a lesion abuts. Voxels that share a face always do.

    Parameters
    ----------
    ventricle_mm, cortex_mm
        From the lesion's nearest voxel to the ventricles' and to the cortex's.
    """

    ventricle_mm: float
    cortex_mm: float


OWN_TISSUE = Reach(2.0, 2.0)
"""For tissues that were seen in the scan itself: touch, and the width of a partial volume."""
ATLAS_TISSUE = Reach(3.0, 3.0)
"""For an atlas's tissues, carried by an affine map, which is some millimetres off. Wider ones agree less with the true
regions of phantoms (docs/guide/contrasts-and-regions.md)."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Which of the parts that the rule asks for holds each voxel: `parts` (x, y, z) of codes, 0 for none of them."""

    parts: NDArray[np.uint8]

    VENTRICLE: ClassVar[int] = 1
    """Lateral and third ventricles, temporal horns."""
    CORTEX: ClassVar[int] = 2
    """Grey matter of the cerebral cortex."""
    DEEP_GREY: ClassVar[int] = 3
    """Grey matter of thalamus and basal ganglia."""
    INFRATENTORIAL: ClassVar[int] = 4
    """Brain stem and cerebellum, with the fluid between them."""

    def carried(self, source: Space, onto: Space, source_to_onto: NDArray[np.float64]) -> Anatomy:
        """The same parts on another grid: each voxel has that of the nearest voxel here.

        Parameters
        ----------
        source, onto
            The grid of these parts, and the other one.
        source_to_onto
            4x4, from points of the first (RAS mm) to points of the second.
        """
        matrix = np.linalg.inv(source_to_onto @ source.vox_to_ras) @ onto.vox_to_ras
        parts = ndimage.affine_transform(
            self.parts,
            matrix[:3, :3],
            matrix[:3, 3],
            output_shape=onto.shape,
            order=0,
            mode="constant",
            prefilter=False,
        )
        return Anatomy(parts)

    def with_ventricles_of(self, flair: Volume, brain: Mask) -> Anatomy:
        """These parts, the ventricles widened to the dark fluid around them that the FLAIR on their grid shows.

        Fluid is what is darker than half-way between the brain's darkest and its normal tissue; it has to be connected
        to these ventricles and to lie within `SEEN_WITHIN_MM` of them. An image whose fluid is bright changes nothing.
        """
        if not (self.parts == self.VENTRICLE).any() or not brain.array.any():
            return self
        sides = flair.space.spacing_mm
        box = _box(self.parts == self.VENTRICLE, [int(SEEN_WITHIN_MM / side) + 1 for side in sides])
        values = flair.array[brain.array][::SAMPLED]
        limit = (normal_tissue(values).mode + float(np.percentile(values, 1))) / 2
        parts = self.parts.copy()
        known = parts[box] == self.VENTRICLE
        dark = (flair.array[box] < limit) & brain.array[box] & (parts[box] != self.INFRATENTORIAL)
        near = within_mm(known, sides, SEEN_WITHIN_MM)
        joined, _ = label_components(dark & near | known, 6)
        parts[box][np.isin(joined, np.unique(joined[known]))] = self.VENTRICLE
        return Anatomy(parts)


def regions_of(
    labels: NDArray[np.integer], anatomy: Anatomy, spacing_mm: Sequence[float], reach: Reach = ATLAS_TISSUE
) -> list[str]:
    """The region of each lesion, one of `REGIONS`; entry i is that of the number i + 1.

    A lesion of which half is infratentorial is that; else, of which half is grey, grey matter; else periventricular if
    it reaches a ventricle, else juxtacortical if it reaches the cortex, else deep white matter. A lesion that reaches
    both, as a tumour does, is periventricular.

    Parameters
    ----------
    labels
        Numbered components (x, y, z), 0 where nothing is set. A number without voxels gets an empty word.
    anatomy
        On the same grid.
    spacing_mm
        Voxel sides.
    """
    return [
        "" if box is None else _region(labels[box] == number, box, anatomy, spacing_mm, reach)
        for number, box in enumerate(ndimage.find_objects(labels), start=1)
    ]


def scan_anatomy(flair: Volume, brain: Mask, mni_to_native: NDArray[np.float64], t1_file: Path) -> Anatomy:
    """The MNI atlas's parts on a scan's grid, with the ventricles that its FLAIR shows.

    Parameters
    ----------
    mni_to_native
        4x4, from points of the atlas to points of the scan (RAS mm).
    t1_file
        The atlas's T1, `preprocess.atlas.mni_file()`.
    """
    atlas, space = mni_anatomy(t1_file)
    return atlas.carried(space, flair.space, mni_to_native).with_ventricles_of(flair, brain)


@lru_cache(maxsize=1)
def mni_anatomy(t1_file: Path) -> tuple[Anatomy, Space]:
    """The parts of nilearn's MNI152 2009a atlas at 2 mm, and that grid; grey and white matter lie beside the T1."""
    files = [t1_file.with_name(t1_file.name.replace("_t1_", f"_{kind}_")) for kind in ("t1", "gm", "wm")]
    t1, grey, white = (read_volume(path) for path in files)
    halved = t1.space.vox_to_ras @ np.array([[2, 0, 0, 0.5], [0, 2, 0, 0.5], [0, 0, 2, 0.5], [0, 0, 0, 1.0]])
    # A tissue that fills a voxel has the file's highest value there, which is 255 and not 1.
    head, grey_share, white_share = (_halved(image / image.max()) for image in (t1.array > 0, grey.array, white.array))
    space = Space((head.shape[0], head.shape[1], head.shape[2]), halved, "atlas")
    return anatomy_of(ndimage.binary_fill_holes(head >= HALF), grey_share, white_share, space), space


def anatomy_of(
    head: BoolArray, grey_share: NDArray[np.floating], white_share: NDArray[np.floating], space: Space
) -> Anatomy:
    """The parts from shares of tissue (x, y, z), on a grid whose axes run along those of MNI space.

    Parameters
    ----------
    head
        The brain with its fluid.
    grey_share, white_share
        In [0, 1]; the rest of the head is fluid.
    """
    tissue = grey_share + white_share >= HALF
    ventricle = _enclosed(head & ~tissue, head, space)
    grey = tissue & (grey_share >= white_share)
    lining = within_mm(ventricle, space.spacing_mm, LINING_MM)
    grey &= ~lining | ndimage.binary_opening(grey)
    corner, sides = space.vox_to_ras[:3, 3], np.diag(space.vox_to_ras)[:3]
    axes = [first + side * np.arange(length) for first, side, length in zip(corner, sides, head.shape, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    nuclei = _near_nuclei(np.abs(x), y, z)
    parts = np.zeros(head.shape, np.uint8)
    parts[grey] = np.where(nuclei, Anatomy.DEEP_GREY, Anatomy.CORTEX)[grey]
    parts[ventricle] = Anatomy.VENTRICLE
    parts[head & _below_tentorium(np.abs(x), y, z)] = Anatomy.INFRATENTORIAL
    return Anatomy(parts)


def _region(
    lesion: BoolArray, box: tuple[slice, ...], anatomy: Anatomy, spacing_mm: Sequence[float], reach: Reach
) -> str:
    """The region of a lesion that is cut to its `box`."""
    within = anatomy.parts[box][lesion]
    if (within == Anatomy.INFRATENTORIAL).mean() >= HALF:
        return "infratentorial"
    if ((within == Anatomy.CORTEX) | (within == Anatomy.DEEP_GREY)).mean() >= HALF:
        return "grey matter"
    if _abuts(lesion, box, anatomy.parts, Anatomy.VENTRICLE, spacing_mm, reach.ventricle_mm):
        return "periventricular"
    if _abuts(lesion, box, anatomy.parts, Anatomy.CORTEX, spacing_mm, reach.cortex_mm):
        return "juxtacortical"
    return "deep white matter"


def _abuts(
    lesion: BoolArray,
    box: tuple[slice, ...],
    parts: NDArray[np.uint8],
    code: int,
    spacing_mm: Sequence[float],
    reach_mm: float,
) -> bool:
    """Whether a lesion, cut to its `box`, comes within `reach_mm` of a part, or shares a face with it."""
    margin = [max(1, int(reach_mm / side)) for side in spacing_mm]
    wide = tuple(slice(max(0, edge.start - m), edge.stop + m) for edge, m in zip(box, margin, strict=True))
    around = parts[wide] == code
    if not around.any():
        return False
    inner = tuple(
        slice(edge.start - outer.start, edge.stop - outer.start) for edge, outer in zip(box, wide, strict=True)
    )
    if ndimage.binary_dilation(around)[inner][lesion].any():
        return True
    away_mm = ndimage.distance_transform_edt(~around, sampling=spacing_mm)
    return bool(away_mm[inner][lesion].min() <= reach_mm)


def _box(part: BoolArray, margin: Sequence[int]) -> tuple[slice, ...]:
    """The box of a mask, widened by `margin` voxels."""
    box = ndimage.find_objects(part.view(np.uint8))[0]
    return tuple(slice(max(0, edge.start - m), edge.stop + m) for edge, m in zip(box, margin, strict=True))


def _halved(array: NDArray) -> NDArray[np.float32]:
    """Means over blocks of 2 x 2 x 2 voxels, an odd last one left out."""
    x, y, z = (length // 2 for length in array.shape)
    blocks = array[: 2 * x, : 2 * y, : 2 * z].reshape(x, 2, y, 2, z, 2)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)


def _enclosed(fluid: BoolArray, head: BoolArray, space: Space) -> BoolArray:
    """The fluid's larger components that stay away from the head's border."""
    labels, sizes = label_components(fluid, 6)
    near_rim = head & within_mm(~head, space.spacing_mm, RIM_MM)
    enclosed = sizes * space.voxel_ml >= MIN_VENTRICLE_ML
    enclosed[np.unique(labels[near_rim])] = False
    enclosed[0] = False
    return enclosed[labels]


def _below_tentorium(side: NDArray, y: NDArray, z: NDArray) -> BoolArray:
    """Brain stem and cerebellum by place in MNI mm; `side` is the distance from the midline."""
    stem = (y > -46) & (y < -6) & (z < -8) & (side < np.where(z < -20, 17, 12))
    behind = (y < -36) & (z < -6 - 0.3 * side + 0.15 * (y + 45)) | (y < -28) & (z < -34) & (side < 48)
    return stem | behind


def _near_nuclei(side: NDArray, y: NDArray, z: NDArray) -> BoolArray:
    """A box around thalamus, caudate, putamen and pallidum by place in MNI mm; its grey matter is theirs."""
    return (z > -10) & (z < 24) & (y > -36) & (y < 26) & (side < 32)
