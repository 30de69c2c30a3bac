"""The average brain in nilearn's wheel (ICBM 152, 2009a) as shares of tissue, and where lesions may lie in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis.anatomy import CORTEX, WHITE, Anatomy

ORIGIN_MM = (-98.0, -134.0, -72.0)
SHAPE = (197, 233, 189)
"""nilearn's ICBM 152 grid at 1 mm: centre of the first voxel and shape."""
PAD_MM = 18
"""Around the template's field of view, for scalp and skull."""


@dataclass(frozen=True, eq=False)
class Template:
    """Shares of grey and white matter, and of brain (x, y, z)."""

    anatomy: Anatomy
    brain: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Landmarks:
    """From maps at 2 mm: distance from the brain, and for each kind of lesion the places where it may lie."""

    outside_mm: NDArray[np.float32]  # on the template's grid widened by `PAD_MM`
    origin_mm: NDArray[np.float64]
    centres_mm: dict[str, NDArray[np.float64]]


@lru_cache(maxsize=2)
def template(sides: tuple[int, int, int]) -> Template:
    """The template's maps as averages over voxels of `sides` mm."""
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

    if sides != (1, 1, 1):
        fine = template((1, 1, 1))
        shares = {part: _block_mean(share, sides) for part, share in fine.anatomy.shares.items()}
        origin_mm = fine.anatomy.origin_mm + (np.array(sides) - 1) / 2
        return Template(Anatomy(origin_mm, sides, shares=shares), _block_mean(fine.brain, sides))
    t1, grey, white = (
        load(resolution=1).get_fdata(dtype=np.float32)
        for load in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template)
    )
    brain = (t1 > 0.2).astype(np.float32)
    # An average of 152 brains is blurred; squared shares are closer to the crisp borders of one brain.
    fluid = np.clip(2.5 * (1 - grey - white), 0, 1)  # narrow sulci are washed out most
    total = grey**2 + white**2 + fluid**2 + np.float32(1e-6)
    shares = {CORTEX: grey**2 / total, WHITE: white**2 / total}
    return Template(Anatomy(np.array(ORIGIN_MM), sides, shares=shares), brain)


def _block_mean(array: NDArray[np.float32], sides: tuple[int, int, int]) -> NDArray[np.float32]:
    """Means over blocks of `sides` voxels; the last block is filled up with zeros."""
    padded = np.pad(array, [(0, -length % side) for length, side in zip(array.shape, sides, strict=True)])
    x, y, z = (length // side for length, side in zip(padded.shape, sides, strict=True))
    return padded.reshape(x, sides[0], y, sides[1], z, sides[2]).mean(axis=(1, 3, 5))


@lru_cache(maxsize=1)
def landmarks() -> Landmarks:
    """Landmarks of the template."""
    from scipy.ndimage import binary_erosion, distance_transform_edt, label

    maps = template((2, 2, 2))
    pad = PAD_MM // 2
    shares = maps.anatomy.shares
    brain, white, grey = (np.pad(array, pad) for array in (maps.brain, shares[WHITE], shares[CORTEX]))
    origin = maps.anatomy.origin_mm - 2 * pad
    inside = brain >= 0.5
    depth = 2 * distance_transform_edt(inside)
    x, y, z = (origin[axis] + 2 * np.arange(inside.shape[axis]) for axis in range(3))
    x, y, z = x[:, None, None], y[None, :, None], z[None, None, :]
    fluid = inside & (white + grey < 0.5) & (depth > 20) & (np.abs(x) < 45) & (z > -6) & (z < 36)
    parts, _ = label(fluid)
    ventricles = parts == 1 + np.bincount(parts.ravel())[1:].argmax()  # the lateral ones are the largest
    from_ventricle = 2 * distance_transform_edt(~ventricles)
    upper = z > -8
    side_far = np.abs(x)
    where = {
        "periventricular": (white > 0.6) & (from_ventricle >= 2) & (from_ventricle <= 6) & (z > -4),
        "punctate": (white > 0.9) & (from_ventricle > 9) & (depth > 10) & upper,
        "tumour": (white + grey > 0.9) & (depth > 18) & (depth < 30) & (side_far > 24) & (z > 0),
        "isointense": (white > 0.85) & (from_ventricle > 9) & (depth > 9) & upper,
        "dark": (white > 0.8) & (from_ventricle > 9) & (depth > 10) & upper,
        "displaced": inside & (from_ventricle > 6) & (from_ventricle < 16) & (depth > 20) & (side_far > 18) & (z > 4),
    }
    centres = {kind: origin + 2.0 * np.argwhere(mask & binary_erosion(inside)) for kind, mask in where.items()}
    outside = (2 * distance_transform_edt(~inside)).astype(np.float32)
    return Landmarks(outside, origin, centres)
