"""Which contrast an image of a brain has: whether what was given as a FLAIR can be one.

Names and headers lie; tissues do not. On a FLAIR fluid is dark, and grey matter is as bright as white matter or
brighter. On a T1 grey matter is darker than white; on a T2, a PD and an ADC map fluid is bright. This is looked for in
three ways, because lesions, thin cortex and noise spoil each of them now and then:

- *Next to dark fluid* lies cortex, further away white matter, whoever's brain it is: what lies next to the darkest
  voxels is compared with what lies behind it.
- *By the atlas's tissues*, laid onto the scan by an affine map or else by the brains' boxes: in each window of some
  centimetres, intensity is explained by the shares of fluid, grey and white matter. A bias field is constant in a
  window, and a tumour spoils its own windows alone.
- *The bright tail*: on a T1 nothing is much brighter than white matter, which is a third of the brain; on a FLAIR
  tissue is one narrow peak, and some is much brighter than it.

How the limits were found, and how often they err, stands in docs/guide/contrasts-and-regions.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.io.nifti import read_volume
from flairline.preprocess.atlas import mni_file
from flairline.types import BoolArray, Mask, Space, Volume

Contrast = Literal["flair", "t1", "t2", "pd", "adc", "ct", "none of these"]
"""What `contrast_of` can answer. A T1 with contrast agent is a "t1"."""

FIGURES = (
    "elongation",
    "near_fluid",
    "bright_tail",
    "grey_over_white",
    "grey_less_white",
    "fluid_less_white",
    "t1_below",
)
"""What is measured of a contrast, beside the brain's volume; `ContrastVerdict.figures` says what each is."""
FLUID_BLOCK_MM, TISSUE_BLOCK_MM = 2.0, 3.0
"""Images are averaged over blocks of about these sides before they are looked at: less noise, and less time."""
WINDOW_MM = 12.0
"""Standard deviation of the windows in which tissues are compared."""
NEAR_MM, FAR_MM = (2.5, 4.5), (6.0, 16.0)
"""Distances from dark fluid: what is near is cortex, as a rule, and what is far white matter."""
DARK = 0.45
"""Fluid is darker than this share of the way from the darkest to the median."""
TAILS = (2, 98)
"""Percentiles of the brain between which tissues are compared."""
BULK_AND_TAIL = (20, 80, 97)
"""Percentiles of the tissue: the bulk, and where its bright tail is measured."""

BEHIND_MM = 8.0
"""Standard deviation of the window in which tissue next to fluid is compared with the tissue behind it."""
WINDOW_STEP, RIDGE, MIN_BLOCKS = 7, 1e-4, 500
"""Windows around every seventh block are plenty; a window without one of the tissues is kept solvable; fewer blocks
say nothing."""
BOX = (0.002, 0.998)
"""Quantiles that bound a brain's box along an axis, so that stray voxels do not move it."""

T1_MAX_SCORE = 1.3
"""Below it an image is a T1: twice `near_fluid`, half of `grey_over_white`, and `bright_tail` up to `MAX_TAIL`."""
MAX_TAIL = 0.8
PAIR_MAX_SCORE, PAIR_APART = 1.45, 0.2
"""Beside an image that looks like a FLAIR and scores higher by `PAIR_APART`, one below this is the pair's T1."""
BRIGHT_FLUID, PD_BRIGHT_FLUID, PD_BRIGHTER_GREY = 0.20, 0.10, 0.06
"""From these on (exclusive) `fluid_less_white` says that fluid is bright: by itself, or where `grey_less_white` is that
large, too, as on a PD."""
PD_FLUID_OVER_GREY, ADC_GREY_OVER_FLUID = 2.5, 0.1
"""On a PD the fluid's excess over white matter is less than so many times the grey matter's; on an ADC map the grey
matter's is less than that share of the fluid's. T2 and ADC are told apart roughly, and said so."""
MAX_ELONGATION = 2.0
"""Of a brain, its length over its breadth as standard deviations: heads have 1.0 to 1.4, a cord more than 5."""
MIN_BRAIN_ML = 300.0
"""Less is no brain: a newborn's has about 350 ml."""
MAX_AIR_HU, MIN_AIR_SHARE, MAX_BRAIN_HU = -500.0, 0.02, 100.0
"""In a CT air has -1000 Hounsfield units and the brain 20 to 45; no MR image of that median goes so far below zero."""

WORDS: Mapping[Contrast, tuple[str, str]] = {
    "flair": ("a FLAIR", ""),
    "t1": ("a T1", "grey matter is darker than white matter, and fluid is dark"),
    "t2": ("a T2 (or an ADC map)", "fluid is the brightest"),
    "pd": ("a PD (proton density)", "fluid is bright, and grey matter is much brighter than white matter"),
    "adc": ("an ADC map (or a T2)", "fluid is the brightest, and grey and white matter are alike"),
    "ct": ("a CT", "air lies near -1000 and the brain near 30"),
    "none of these": ("no whole brain", "it may be the spine or another part of the body"),
}
"""How the answers are said to a person: what an image looks like, and why."""


@dataclass(frozen=True)
class ContrastVerdict:
    """What an image that was given as a FLAIR looks like.

    Parameters
    ----------
    looks_like
        The contrast; "flair" also where nothing speaks against one.
    is_flair_possible
        False: it cannot be a FLAIR, and what is found in it is no lesion.
    figures
        What was measured, by name: `near_fluid` (share of the tissue next to dark fluid that is brighter than the
        tissue behind it), `bright_tail` (how far the brightest tissue is above the bulk, in widths of the bulk),
        `grey_over_white` (share of windows in which grey matter is the brighter), `grey_less_white` and
        `fluid_less_white` (their difference over the range of intensities), `t1_below` (the first three together; a
        T1 is below `T1_MAX_SCORE`), `elongation`, `brain_ml`. NaN, or none, where it could not be measured.
    reason
        For the user, in words; empty where nothing is amiss.
    t1_looks_like
        What was given as the T1 looks like; None: there was none.
    """

    looks_like: Contrast
    is_flair_possible: bool
    figures: Mapping[str, float]
    reason: str = ""
    t1_looks_like: Contrast | None = None

    @property
    def is_exchanged(self) -> bool:
        """Whether T1 and FLAIR were given in each other's place."""
        return self.looks_like == "t1" and self.t1_looks_like == "flair"


def contrast_of(
    image: Volume, brain: Mask, t1: Volume | None = None, mni_to_native: NDArray[np.float64] | None = None
) -> ContrastVerdict:
    """What the image that was given as a FLAIR looks like, by its brain.

    Parameters
    ----------
    image
        As it came, with or without its skull: a CT is told by what lies around the brain.
    brain
        On its grid.
    t1
        What was given as the T1, on the same grid; it says whether the two were exchanged.
    mni_to_native
        4x4, from points of the atlas MNI152 to points of the image (RAS mm). None: the brains' boxes are laid onto each
        other along the grid's axes, which is rougher.
    """
    looks_like, figures = _look(image, brain, mni_to_native)
    of_t1: Contrast | None = None
    if t1 is not None:
        of_t1, others = _look(t1, brain, mni_to_native)
        if looks_like == of_t1 == "flair" and _is_the_t1(figures, others):
            looks_like = "t1"
        elif looks_like == of_t1 == "flair" and _is_the_t1(others, figures):
            of_t1 = "t1"
    if looks_like == "flair":
        return ContrastVerdict(looks_like, True, figures, "", of_t1)
    if looks_like == "t1" and of_t1 == "flair":
        reason = "T1 and FLAIR look exchanged: what was given as FLAIR looks like a T1, and the T1 like a FLAIR"
    else:
        words, why = WORDS[looks_like]
        reason = f"looks like {words}, not a FLAIR: {why}"
    return ContrastVerdict(looks_like, False, figures, reason, of_t1)


def _is_the_t1(figures: Mapping[str, float], others: Mapping[str, float]) -> bool:
    """Whether of two images, neither of which is clearly a T1, the first is the pair's."""
    score = figures["t1_below"]
    return score < PAIR_MAX_SCORE and others["t1_below"] - score >= PAIR_APART


def _look(image: Volume, brain: Mask, mni_to_native: NDArray[np.float64] | None) -> tuple[Contrast, dict[str, float]]:
    """The contrast and the figures."""
    figures = {"brain_ml": brain.volume_ml}
    if brain.volume_ml < MIN_BRAIN_ML:
        return "none of these", figures
    blocks = _Blocks.of(image, brain, TISSUE_BLOCK_MM)
    figures["elongation"] = _elongation(blocks)
    if figures["elongation"] > MAX_ELONGATION:
        return "none of these", figures
    fine = _Blocks.of(image, brain, FLUID_BLOCK_MM)
    figures |= {"near_fluid": _near_fluid(fine), "bright_tail": _bright_tail(fine)}
    figures |= _tissues(blocks, _placed(blocks, image.space, mni_to_native))
    figures["t1_below"] = (
        2 * figures["near_fluid"] + figures["grey_over_white"] / 2 + min(figures["bright_tail"], MAX_TAIL)
    )
    if _is_ct(image, brain):
        return "ct", figures
    return _contrast(figures), figures


def _contrast(figures: Mapping[str, float]) -> Contrast:
    """The contrast that a brain's figures speak for; a comparison with NaN speaks for nothing."""
    fluid, grey = figures["fluid_less_white"], figures["grey_less_white"]
    if fluid > BRIGHT_FLUID or (fluid > PD_BRIGHT_FLUID and grey > PD_BRIGHTER_GREY):
        if fluid < PD_FLUID_OVER_GREY * grey:
            return "pd"
        return "adc" if grey < ADC_GREY_OVER_FLUID * fluid else "t2"
    return "t1" if figures["t1_below"] < T1_MAX_SCORE else "flair"


def _is_ct(image: Volume, brain: Mask) -> bool:
    air_share = float((image.array < MAX_AIR_HU).mean())
    return air_share >= MIN_AIR_SHARE and 0 < float(np.median(image.array[brain.array])) < MAX_BRAIN_HU


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Means of the brain over blocks of voxels: where `inside` (a, b, c), in that order, `values` (n,).

    `points_mm` (n, 3) are the blocks' middles along the grid's axes, in mm from its first voxel.
    """

    inside: BoolArray
    values: NDArray[np.float32]
    points_mm: NDArray[np.float64]
    spacing_mm: NDArray[np.float64]

    @classmethod
    def of(cls, image: Volume, brain: Mask, side_mm: float) -> _Blocks:
        """Blocks of about `side_mm` of which most is brain."""
        box = ndimage.find_objects(brain.array.view(np.uint8))[0]
        voxel_mm = np.array(image.space.spacing_mm)
        cut = np.maximum(1, np.rint(side_mm / voxel_mm).astype(int))
        share = _means(brain.array[box].astype(np.float32), cut)
        total = _means(np.where(brain.array[box], image.array[box], np.float32(0)), cut)
        inside = (share > 0.6) & np.isfinite(total)
        points_mm = ([edge.start for edge in box] + np.argwhere(inside) * cut + (cut - 1) / 2) * voxel_mm
        return cls(inside, total[inside] / share[inside], points_mm, cut * voxel_mm)

    def spread(self, values: NDArray) -> NDArray[np.float32]:
        """Values of the blocks (n,) as a volume (a, b, c), zero elsewhere."""
        volume = np.zeros(self.inside.shape, np.float32)
        volume[self.inside] = values
        return volume

    def smooth(self, volume: NDArray, sigma_mm: float) -> NDArray[np.float32]:
        """A volume (a, b, c) smoothed, zero beyond its border."""
        return ndimage.gaussian_filter(volume, sigma_mm / self.spacing_mm, mode="constant", truncate=2)


def _means(array: NDArray[np.float32], cut: NDArray[np.int_]) -> NDArray[np.float32]:
    """Means over blocks of `cut` voxels, zero beyond the border."""
    padded = np.pad(array, [(0, -length % side) for length, side in zip(array.shape, cut, strict=True)])
    x, y, z = (length // side for length, side in zip(padded.shape, cut, strict=True))
    return padded.reshape(x, cut[0], y, cut[1], z, cut[2]).mean(axis=(1, 3, 5))


def _elongation(blocks: _Blocks) -> float:
    """Standard deviation along the longest direction over that along the next; NaN where there are few blocks."""
    if len(blocks.values) < 10:
        return float("nan")
    variances = np.linalg.eigvalsh(np.cov(blocks.points_mm.T))
    return float(np.sqrt(variances[2] / max(variances[1], 1e-9)))


def _fluid_limit(values: NDArray[np.floating]) -> float:
    """What is darker is fluid, if fluid is dark."""
    low, middle = np.percentile(values, (1, 50))
    return float(low + DARK * (middle - low))


def _bright_tail(blocks: _Blocks) -> float:
    """How far the brightest tissue lies above the bulk, in widths of the bulk; NaN where there is none."""
    tissue = blocks.values[blocks.values > _fluid_limit(blocks.values)] if len(blocks.values) else blocks.values
    if len(tissue) < MIN_BLOCKS:
        return float("nan")
    low, high, highest = np.percentile(tissue, BULK_AND_TAIL)
    return float((highest - high) / (high - low)) if high > low else float("nan")


def _near_fluid(blocks: _Blocks) -> float:
    """Share of the tissue next to dark fluid that is brighter than the tissue behind it; NaN if there is none."""
    if len(blocks.values) < MIN_BLOCKS:
        return float("nan")
    low, high = np.percentile(blocks.values, (1, 99))
    volume = blocks.spread(blocks.values)
    dark = blocks.inside & (volume < _fluid_limit(blocks.values))
    away_mm = ndimage.distance_transform_edt(~dark, sampling=blocks.spacing_mm)
    near = blocks.inside & (away_mm >= NEAR_MM[0]) & (away_mm < NEAR_MM[1])
    far = blocks.inside & (away_mm >= FAR_MM[0]) & (away_mm < FAR_MM[1])
    weight = blocks.smooth(far.astype(np.float32), BEHIND_MM)
    behind = blocks.smooth(np.where(far, np.clip(volume, low, high), 0), BEHIND_MM)
    known = near & (weight > 0.02)
    return float((volume[known] > behind[known] / weight[known]).mean()) if known.any() else float("nan")


def _tissues(blocks: _Blocks, shares: NDArray[np.floating]) -> dict[str, float]:
    """Grey matter and fluid less white matter, as weighted medians over windows, by the tissues' `shares` (3, n).

    In each window intensity is explained by least squares as a sum of fluid, grey and white matter; the better a
    window tells two of them apart, the more it counts.
    """
    names = ("grey_over_white", "grey_less_white", "fluid_less_white")
    low, high = np.percentile(blocks.values, TAILS) if len(blocks.values) >= MIN_BLOCKS else (0.0, 0.0)
    if not high > low:
        return dict.fromkeys(names, float("nan"))
    values = (np.clip(blocks.values, low, high) - low) / (high - low)

    def windowed(weights: NDArray) -> NDArray[np.float32]:
        return blocks.smooth(blocks.spread(weights), WINDOW_MM)[blocks.inside][::WINDOW_STEP]

    products = np.stack([[windowed(share * second) for second in shares] for share in shares])
    normal = np.moveaxis(products, 2, 0).astype(np.float64) + RIDGE * np.eye(3)
    inverse = np.linalg.inv(normal)
    means = np.einsum("nij,nj->ni", inverse, np.stack([windowed(share * values) for share in shares], axis=1))
    fluid, grey, white = range(3)
    grey_less_white, weight = means[:, grey] - means[:, white], _certainty(inverse, grey, white)
    figures = (
        float(weight[grey_less_white > 0].sum() / weight.sum()),
        _weighted_median(grey_less_white, weight),
        _weighted_median(means[:, fluid] - means[:, white], _certainty(inverse, fluid, white)),
    )
    return dict(zip(names, figures, strict=True))


def _certainty(inverse: NDArray[np.floating], first: int, second: int) -> NDArray[np.floating]:
    """One over the variance of the difference of two means."""
    return 1 / (inverse[:, first, first] + inverse[:, second, second] - 2 * inverse[:, first, second])


def _weighted_median(values: NDArray[np.floating], weights: NDArray[np.floating]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


@dataclass(frozen=True, eq=False)
class _Tissues:
    """Shares of fluid, grey and white matter (3, x, y, z) of the MNI atlas, smoothed, and its brain's box in mm."""

    shares: NDArray[np.float32]
    space: Space
    low_mm: NDArray[np.float64]
    high_mm: NDArray[np.float64]


@lru_cache(maxsize=1)
def _mni_tissues() -> _Tissues:
    """Every other voxel of nilearn's maps; smoothed by as much as a placing is off at least."""
    file = mni_file()
    t1, grey, white = (
        read_volume(file.with_name(file.name.replace("_t1_", f"_{kind}_"))) for kind in ("t1", "gm", "wm")
    )
    every = np.diag([2.0, 2.0, 2.0, 1.0])
    head = ndimage.binary_fill_holes(t1.array[::2, ::2, ::2] > 0)
    tissues = [image.array / image.array.max() for image in (grey, white)]
    for axis, kept in enumerate((np.s_[::2], np.s_[:, ::2], np.s_[:, :, ::2])):
        tissues = [ndimage.uniform_filter1d(share, 5, axis)[kept] for share in tissues]
    fluid = np.where(head, np.clip(1 - tissues[0] - tissues[1], 0, 1), 0)
    space = Space(head.shape, t1.space.vox_to_ras @ every, "atlas")
    low, high = np.quantile(np.argwhere(head), BOX, axis=0)
    corner = space.vox_to_ras[:3, 3]
    return _Tissues(np.stack([fluid, *tissues]).astype(np.float32), space, corner + 2 * low, corner + 2 * high)


def _placed(blocks: _Blocks, space: Space, mni_to_native: NDArray[np.float64] | None) -> NDArray[np.float32]:
    """Shares of fluid, grey and white matter (3, n) at the blocks."""
    atlas = _mni_tissues()
    if mni_to_native is None:
        low, high = np.quantile(blocks.points_mm, BOX, axis=0)
        mni_mm = atlas.low_mm + (blocks.points_mm - low) * (atlas.high_mm - atlas.low_mm) / np.maximum(high - low, 1)
    else:
        to_mni = np.linalg.inv(mni_to_native) @ space.vox_to_ras
        mni_mm = blocks.points_mm / np.array(space.spacing_mm) @ to_mni[:3, :3].T + to_mni[:3, 3]
    to_voxels = np.linalg.inv(atlas.space.vox_to_ras)
    voxels = (mni_mm @ to_voxels[:3, :3].T + to_voxels[:3, 3]).T
    return np.stack([ndimage.map_coordinates(share, voxels, order=1) for share in atlas.shares])
