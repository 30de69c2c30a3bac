"""Figures that tell whether a scan was prepared well, and flags, in words, where they say it was not.

A flagged scan is still segmented: the figures do not know better than the person who looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.imaging.boxes import box_of
from flairline.imaging.measure import dice
from flairline.imaging.points import PointMap, carry_mask, carry_volume, identity
from flairline.preprocess.atlas import Atlas
from flairline.preprocess.brain import background_value
from flairline.preprocess.contrast import ContrastVerdict, contrast_of
from flairline.types import Mask, Scan, Space, Volume

BINS = 32


@dataclass(frozen=True)
class Flag:
    """A figure outside its limits, and what that may mean."""

    figure: str
    value: float
    reason: str


@dataclass(frozen=True)
class Limit:
    """The range in which a figure is unremarkable (inclusive), and what to think outside it."""

    low: float
    high: float
    below: str = ""
    above: str = ""


LIMITS: Mapping[str, Limit] = {
    "brain_ml": Limit(
        900.0,
        2000.0,
        "the brain is smaller than an adult's: part of it was cut off, or the extraction lost it",
        "the brain is larger than an adult's: skull, eyes or neck were taken along",
    ),
    "atlas_overlap": Limit(
        0.90,
        1.0,
        "the registered brain does not cover the atlas's brain: registration or brain extraction failed, or part of"
        " the head is missing",
    ),
    "atlas_stretch": Limit(
        1.0, 1.3, "", "the way to the atlas stretches one direction much more than another: registration failed"
    ),
    "atlas_similarity_gain": Limit(
        0.0, np.inf, "the registered scan resembles the atlas less than the scan as it lies: registration failed"
    ),
    "t1_flair_overlap": Limit(
        0.94,
        1.0,
        "the brains of T1 and FLAIR differ: are they of one person, and is each brain extracted well?",
    ),
    "t1_flair_similarity": Limit(
        1.034, np.inf, "T1 and FLAIR share little information within the brain: are they of one person?"
    ),
    "coverage": Limit(
        0.95, 1.0, "part of the brain lies outside the field of view: volumes are those of the part that was scanned"
    ),
    "slice_thickness_mm": Limit(
        0.0, 5.0, "", "thick slices: small lesions are blurred with what lies beside them, and volumes are rough"
    ),
    "noise": Limit(0.0, 0.10, "", "a noisy scan: single bright voxels may be noise"),
}
"""What is unremarkable. How each limit was found stands in docs/lab."""

TOLD_BY: Mapping[str, str] = {
    "t1": "t1_below",
    "t2": "fluid_less_white",
    "pd": "fluid_less_white",
    "adc": "fluid_less_white",
}
"""The figure that told a contrast from a FLAIR."""

MIN_T1_FLAIR_OVERLAP = 0.70
"""Below this one of them shows no brain, or not this one. Two different heads reach 0.89 (docs/lab)."""

MIN_ATLAS_OVERLAP, MAX_ATLAS_STRETCH = 0.88, 1.5
"""Past both, what was extracted is no brain. Measured: heads from 0.95 and up to 1.2, a knee 0.83 and 2.1."""


def flags(figures: Mapping[str, float]) -> list[Flag]:
    """The figures outside their limits. A NaN figure was not measured and raises no flag."""
    found = []
    for name, value in figures.items():
        limit = LIMITS.get(name)
        if limit is None or np.isnan(value):
            continue
        if value < limit.low:
            found.append(Flag(name, value, f"{value:.4g} < {limit.low:.4g}: {limit.below}"))
        elif value > limit.high:
            found.append(Flag(name, value, f"{value:.4g} > {limit.high:.4g}: {limit.above}"))
    return found


@dataclass(frozen=True)
class Checked:
    """Figures that were measured, and the flags that they raise."""

    figures: Mapping[str, float]
    flags: tuple[Flag, ...]


def check_contrast(scan: Scan) -> Checked:
    """Whether what was given as the FLAIR can be one, and whether the T1 was taken for it.

    The atlas is laid on by the scan's registration, else by the brain's box: not by a rough placing, so that the
    verdict is the same with and without it.
    """
    verdict = contrast_of(scan.flair, scan.brain, scan.t1, scan.atlas_to_native)
    return Checked(dict(verdict.figures), contrast_flags(verdict))


def contrast_flags(verdict: ContrastVerdict) -> tuple[Flag, ...]:
    """A flag where an image cannot be a FLAIR: its reason says what it looks like."""
    if verdict.is_flair_possible:
        return ()
    value = verdict.figures[TOLD_BY.get(verdict.looks_like, "brain_ml")]
    return (Flag("contrast", value, verdict.reason),)


def brain_figures(flair: Volume, brain: Mask) -> dict[str, float]:
    """What one scan says of itself: brain volume, slice thickness, noise, and the brain that touches the edge."""
    return {
        "brain_ml": brain.volume_ml,
        "slice_thickness_mm": max(flair.space.spacing_mm),
        "noise": noise(flair, brain),
        "edge_share": edge_share(brain),
    }


def atlas_figures(
    image: Volume, brain: Mask, flair_space: Space, atlas: Atlas, atlas_to_image: PointMap, atlas_to_flair: PointMap
) -> dict[str, float]:
    """How well the registration to the atlas came out.

    Parameters
    ----------
    image, brain
        What was registered: the T1, or the FLAIR where there is none.
    flair_space
        The FLAIR's grid, for the coverage.
    atlas_to_image, atlas_to_flair
        From the atlas's points to those of either.
    """
    on_atlas = carry_mask(brain, atlas.space, atlas_to_image)
    registered = carry_volume(image, atlas.space, atlas_to_image)
    lying = carry_volume(image, atlas.space, identity("atlas", "image"))
    similarity = mutual_information(registered.array, atlas.t1.array, atlas.brain.array)
    before = mutual_information(lying.array, atlas.t1.array, atlas.brain.array)
    return {
        "atlas_overlap": dice(on_atlas.array, atlas.brain.array),
        "atlas_stretch": stretch(atlas_to_image),
        "atlas_similarity": similarity,
        "atlas_similarity_as_it_lies": before,
        "atlas_similarity_gain": similarity - before,
        "coverage": coverage(atlas.brain, atlas_to_flair, flair_space),
    }


def pair_figures(
    flair: Volume, flair_brain: Mask | None, t1: Volume, t1_brain: Mask, flair_to_t1: PointMap
) -> dict[str, float]:
    """How well T1 and FLAIR fit; `flair_brain` is the one found in the FLAIR itself, None where there is none."""
    carried = carry_mask(t1_brain, flair.space, flair_to_t1)
    t1_on_flair = carry_volume(t1, flair.space, flair_to_t1)
    return {
        "t1_flair_overlap": float("nan") if flair_brain is None else dice(carried.array, flair_brain.array),
        "t1_flair_similarity": mutual_information(t1_on_flair.array, flair.array, carried.array),
    }


def stretch(points: PointMap) -> float:
    """How many times more a map stretches along its longest direction than along its shortest; 1 if rigid."""
    sizes = np.linalg.svd(points.ras_to_ras[:3, :3], compute_uv=False)
    return float(sizes[0] / sizes[-1])


def mutual_information(left: NDArray, right: NDArray, inside: NDArray[np.bool_]) -> float:
    """Normalised mutual information (H(a) + H(b)) / H(a, b), in [1, 2], of 32 x 32 bins (Studholme et al. 1999).

    NaN if nothing is inside or one of the images is constant there. Bins span the 0.5th to 99.5th percentile, so that
    single bright voxels do not squeeze the rest into one bin.
    """
    codes = []
    for image in (left, right):
        values = image[inside]
        if values.size == 0:
            return float("nan")
        low, high = np.percentile(values, (0.5, 99.5))
        if not high > low:
            return float("nan")
        codes.append(np.clip((values - low) / (high - low) * BINS, 0, BINS - 1).astype(np.intp))
    joint = np.bincount(codes[0] * BINS + codes[1], minlength=BINS * BINS).reshape(BINS, BINS)
    entropies = [_entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0)), _entropy(joint.ravel())]
    return (entropies[0] + entropies[1]) / entropies[2] if entropies[2] else float("nan")


def coverage(atlas_brain: Mask, atlas_to_flair: PointMap, flair_space: Space) -> float:
    """Share of the atlas's brain that lies within the scan's field of view, in [0, 1]."""
    voxels = np.argwhere(atlas_brain.array)[::7]  # a seventh of two million voxels is plenty
    to_voxels = np.linalg.inv(flair_space.vox_to_ras) @ atlas_to_flair.ras_to_ras @ atlas_brain.space.vox_to_ras
    places = voxels @ to_voxels[:3, :3].T + to_voxels[:3, 3]
    within = (places >= -0.5) & (places <= np.array(flair_space.shape) - 0.5)
    return float(within.all(axis=1).mean())


def edge_share(brain: Mask) -> float:
    """Largest area of brain on a face of the volume, as a share of its largest area along that axis, in [0, 1]."""
    shares = []
    for axis in range(3):
        areas = brain.array.sum(axis=tuple(other for other in range(3) if other != axis))
        shares += [areas[0] / max(areas.max(), 1), areas[-1] / max(areas.max(), 1)]
    return float(max(shares))


def noise(image: Volume, brain: Mask) -> float:
    """Standard deviation of the noise over the brain's median above the background, from second differences in slices.

    Immerkaer 1996: the difference of two Laplacians is blind to edges and slopes; the median of its size is robust
    against what is left of them. NaN where the brain has no slice to look at. Slices lie along the thickest axis.
    """
    axis = int(np.argmax(image.space.spacing_mm))
    box = box_of(brain.array, 1)  # the differences look one voxel far
    array = np.moveaxis(image.array[box], axis, 2)
    inside = np.moveaxis(brain.array[box], axis, 2)
    inside = ndimage.binary_erosion(inside, np.ones((3, 3, 1)))
    kernel = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])[:, :, None]
    residual = np.abs(ndimage.convolve(array.astype(np.float64), kernel, mode="nearest")[inside])
    # A z-scored scan has its background far below zero and its median near it.
    background = np.nan_to_num(background_value(image.array))
    median = float(np.median(image.array[brain.array]) - background) if brain.array.any() else 0.0
    if residual.size == 0 or median <= 0:
        return float("nan")
    return float(np.median(residual) / 0.6745 / 6.0 / median)


def _entropy(counts: NDArray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())
