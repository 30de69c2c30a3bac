"""FLAIR scans that nobody was scanned for: a label map, deformed, coloured, diseased, blurred and noisy.

One label map gives as many scans as one likes. Contrast, bias, resolution, noise and what is left of the skull are
drawn anew for each, far wider than scanners differ, so that a network trained on them has no scanner to get used to
(the idea of SynthSeg: Billot et al. 2023, https://doi.org/10.1016/j.media.2023.102789). Here the target is not anatomy
but lesions: drawn blobs of many kinds with soft borders. Everything works at 1 mm in RAS+.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from flairline.imaging.tissue import normal_tissue

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
    CORTEX: (3, 42),
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

INTENSITY = {
    CSF: (0.05, 0.5),
    VENTRICLE: (0.05, 0.45),
    CHOROID: (0.4, 1.6),
    WHITE: (1.0, 1.0),
    CEREBELLAR_CORTEX: (0.95, 1.35),
    CEREBELLAR_WHITE: (0.92, 1.12),
    STEM: (0.92, 1.2),
    THALAMUS: (0.95, 1.25),
    CAUDATE: (1.0, 1.4),
    PUTAMEN: (1.0, 1.35),
    PALLIDUM: (0.7, 1.1),
    HIPPOCAMPUS: (1.1, 1.55),
    VESSEL: (0.2, 1.2),
    SOFT: (0.2, 1.6),
    SKULL: (0.05, 0.9),
    SKIN: (0.3, 2.2),
}
"""Range of each class in units of white matter. The cortex is drawn apart: 0.95 to 1.5."""

Z_RANGE = (-5.0, 10.0)
"""The network sees normal tissue at 0, in half-widths, cut off here; outside the brain is as dark as CSF."""
BLURRED_SHARE = 0.125
"""Share of the scans that are blurred along every axis, by up to 2 mm (standard deviation)."""
MIN_LESION = 0.25
"""A voxel belongs to the truth where at least this share of it is lesion, after the blur of the scan's resolution."""


@dataclass(frozen=True)
class Synthetic:
    """One synthetic scan at 1 mm in RAS+: normalised image, truth and brain (x, y, z)."""

    image: NDArray[np.float16]
    truth: NDArray[np.bool_]
    brain: NDArray[np.bool_]


def to_classes(labels: NDArray[np.floating]) -> NDArray[np.uint8]:
    """FreeSurfer's numbers -> `CLASSES`, cropped to the brain and 10 voxels around it."""
    numbers = labels.astype(np.int32)
    table = np.full(max(int(numbers.max()) + 1, 1024), SOFT, dtype=np.uint8)
    table[0] = OUTSIDE
    for index, known in FREESURFER.items():
        table[list(known)] = index
    classes = table[np.maximum(numbers, 0)]
    return cropped(classes)


def cropped(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A class map cut to the brain and 10 voxels around it."""
    inside = np.argwhere((classes >= VENTRICLE) & (classes <= HIPPOCAMPUS))
    low, high = np.maximum(inside.min(axis=0) - 10, 0), inside.max(axis=0) + 11
    return np.ascontiguousarray(classes[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])


def synthesise(
    classes: NDArray[np.uint8],
    rng: np.random.Generator,
    shapes: list[NDArray[np.bool_]] | None = None,
    lesions: bool = True,
) -> Synthetic:
    """One scan from one class map.

    Parameters
    ----------
    classes
        What `to_classes` gives, 1 mm, RAS+.
    rng
        Everything random comes from it.
    shapes
        Lesion masks of other patients (1 mm) to place instead of random MS-like shapes; None: random shapes only.
    lesions
        False gives a scan without lesions.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    fields = Fields(generator)
    anatomy = _deform(classes, rng, fields)
    image, brightest = _colour(anatomy, rng, fields)
    share = torch.zeros_like(image)
    if lesions:
        from flairline.synthesis.lesions import add_lesions

        image, share = add_lesions(anatomy, image, brightest, rng, fields, shapes)
    bias = fields.smooth(image.shape, float(rng.uniform(40, 90))).clamp(-2, 2)
    image = image * torch.exp(float(rng.uniform(0, 0.15)) * bias)
    image, share = _scanner(image, share, rng, generator)
    brain = _brain(anatomy, rng, fields)
    values = image[brain].numpy()
    low, high = Z_RANGE
    z = np.clip(normal_tissue(values).z(image.numpy()), low, high)
    kept = brain.numpy()
    z[~kept] = low
    return Synthetic(z.astype(np.float16), (share.numpy() >= MIN_LESION) & kept, kept)


class Fields:
    """Smooth random fields of unit variance, in the shape and at the correlation length asked for."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator

    def smooth(self, shape: torch.Size | tuple[int, ...], length_mm: float) -> Tensor:
        """A field of about unit variance that changes over `length_mm`: coarse noise, interpolated."""
        coarse = [max(2, round(side / length_mm) + 2) for side in shape]
        noise = torch.randn(1, 1, *coarse, generator=self.generator)
        field = functional.interpolate(noise, size=tuple(shape), mode="trilinear", align_corners=True)[0, 0]
        return field / field.std().clamp_min(1e-3)

    def rough(self, shape: torch.Size | tuple[int, ...], length_mm: float) -> Tensor:
        """Three octaves of `smooth`, for outlines."""
        total = self.smooth(shape, length_mm) + 0.5 * self.smooth(shape, length_mm / 2)
        return (total + 0.25 * self.smooth(shape, length_mm / 4)) / 1.15


def blur(volume: Tensor, sigma: tuple[float, ...] | float) -> Tensor:
    """Gaussian smoothing, `sigma` in voxels by axis; the border is repeated."""
    given = (sigma,) * 3 if isinstance(sigma, (int, float)) else sigma
    sigmas = tuple(s if s >= 0.2 else 0.0 for s in given)  # a narrower kernel changes nothing and takes its time
    # scipy's separable filter is seven times as fast as a convolution of one channel in torch.
    return torch.from_numpy(ndimage.gaussian_filter(volume.numpy(), sigmas, mode="nearest", truncate=3))


def _deform(classes: NDArray[np.uint8], rng: np.random.Generator, fields: Fields) -> Tensor:
    """Affine and elastic deformation, nearest neighbour, left and right swapped half of the time."""
    if rng.random() < 0.5:
        classes = classes[::-1]
    scale = rng.uniform(0.9, 1.12) * rng.uniform(0.94, 1.06, 3)
    shape = tuple(round(side * s / 8) * 8 for side, s in zip(classes.shape, scale, strict=True))
    angles = np.radians(rng.normal(0, 6, 3))
    matrix = np.diag(1 / scale) @ _rotation(angles) @ (np.eye(3) + np.triu(rng.normal(0, 0.03, (3, 3)), 1))
    axes = [torch.arange(side, dtype=torch.float32) - (side - 1) / 2 for side in shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1) @ torch.tensor(matrix.T, dtype=torch.float32)
    coarse, fine = float(rng.uniform(0, 3.5)), float(rng.uniform(0, 1.0))
    for axis in range(3):
        grid[..., axis] += coarse * fields.smooth(shape, 40) + fine * fields.smooth(shape, 12)
    half = torch.tensor([(side - 1) / 2 for side in classes.shape])
    if rng.random() < 0.5:
        _widen_ventricles(classes, grid, float(rng.uniform(0, 6)), half)
    grid = (grid / half).flip(-1)[None]  # grid_sample wants (z, y, x), scaled to -1..1
    source = torch.from_numpy(np.ascontiguousarray(classes)).float()[None, None]
    moved = functional.grid_sample(source, grid, mode="nearest", padding_mode="zeros", align_corners=True)
    return moved[0, 0].to(torch.uint8)


def _widen_ventricles(classes: NDArray[np.uint8], grid: Tensor, most_mm: float, half: Tensor) -> None:
    """Let the grid's points (x, y, z, 3), in voxels from the map's middle, look towards the ventricles by up to
    `most_mm`: larger ventricles and less tissue around them, as age and disease make them.
    """
    coarse = ndimage.gaussian_filter((classes[::3, ::3, ::3] == VENTRICLE).astype(np.float32), 2.5)
    pull = np.stack(np.gradient(coarse))
    pull *= most_mm / max(float(np.linalg.norm(pull, axis=0).max()), 1e-6)
    where = (grid / half).flip(-1)[None]
    grid += functional.grid_sample(torch.from_numpy(pull)[None], where, align_corners=True)[0].permute(1, 2, 3, 0)


def _rotation(angles: NDArray[np.floating]) -> NDArray[np.floating]:
    """Rotation about x, then y, then z, in radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _colour(anatomy: Tensor, rng: np.random.Generator, fields: Fields) -> tuple[Tensor, float]:
    """Intensities around a FLAIR's contrast, and the brightest normal tissue's; white matter is 1.

    What is bright and normal is drawn too, so that the network learns to leave it: plexus, the ventricles' lining and
    caps, grey matter that brightens from place to place, flow in the CSF.
    """
    table = torch.zeros(len(CLASSES))
    for index, (low, high) in INTENSITY.items():
        table[index] = float(rng.uniform(low, high))
    grey = float(rng.uniform(0.95, 1.5))
    table[CORTEX] = grey
    for index in (CEREBELLAR_CORTEX, CAUDATE, PUTAMEN, HIPPOCAMPUS):  # grey matter goes with the cortex
        table[index] = (table[index] + grey) / 2 + float(rng.normal(0, 0.03))
    image = table[anatomy.long()]
    shape = anatomy.shape
    is_grey = (anatomy == CORTEX) | (anatomy == HIPPOCAMPUS)
    image = torch.where(
        is_grey, image * (1 + float(rng.uniform(0, 0.15)) * fields.smooth(shape, 25).clamp(-1, 2)), image
    )
    is_white = (anatomy == WHITE) | (anatomy == STEM) | (anatomy == CEREBELLAR_WHITE)
    dirty = float(rng.uniform(0, 0.06)) * fields.smooth(shape, 30) + float(rng.uniform(0, 0.04)) * fields.smooth(
        shape, 8
    )
    image = torch.where(is_white, image * (1 + dirty), image)
    if rng.random() < 0.5:
        flow = float(rng.uniform(0.1, 0.8)) * fields.smooth(shape, 15).clamp_min(0)
        image = torch.where((anatomy == CSF) | (anatomy == VENTRICLE), image + flow * 0.7, image)
    if rng.random() < 0.8:
        depth = float(rng.uniform(0.6, 2.5)) * (1 + 0.5 * fields.smooth(shape, 12)).clamp_min(0)
        near = blur((anatomy == VENTRICLE).float(), float(rng.uniform(1.0, 3.0)))
        lining = torch.where(anatomy == WHITE, (near * depth).clamp(0, 1), torch.zeros(()))
        image = image + float(rng.uniform(0.0, 0.4)) * lining
    if rng.random() < 0.5:  # a plexus of varying brightness, larger than its label
        plexus = blur((anatomy == CHOROID).float(), 1.0) * (anatomy <= CHOROID)
        image = torch.maximum(image, plexus.clamp(0, 0.6) / 0.6 * table[CHOROID])
    image = image * (1 + float(rng.uniform(0, 0.04)) * fields.smooth(shape, 3))
    return blur(image, float(rng.uniform(0.35, 0.8))), float(max(grey, 1.0))


def _scanner(
    image: Tensor, share: Tensor, rng: np.random.Generator, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Resolution (thick slices along any axis, sampled and interpolated back) and noise before and after it."""
    noise_sd = float(rng.uniform(0.005, 0.07))
    in_plane = float(rng.uniform(0.0, 0.7))
    thick_axis = int(rng.choice(3, p=(0.15, 0.15, 0.7)))
    thick = float(rng.uniform(1, 6)) if rng.random() < 0.65 else 1.0
    sigmas = [in_plane] * 3
    sigmas[thick_axis] = max(in_plane, thick / 2.355)
    if rng.random() < BLURRED_SHARE:  # 2 mm scans, averages of several
        wide = float(rng.uniform(0.7, 2.0))
        sigmas = [max(sigma, wide) for sigma in sigmas]
    image, share = blur(image, tuple(sigmas)), blur(share, tuple(sigmas))
    full = tuple(image.shape)
    if thick > 1.5:
        small = list(full)
        gap = float(rng.uniform(0.9, 1.2))
        small[thick_axis] = max(8, round(full[thick_axis] / (thick * gap)))
        mode = "trilinear" if rng.random() < 0.85 else "nearest"
        pair = functional.interpolate(
            torch.stack([image, share])[None], size=small, mode="trilinear", align_corners=False
        )
        pair[0, 0] += noise_sd * torch.randn(small, generator=generator)
        image, share = _interpolated(pair, full, mode)
    else:
        image = image + noise_sd * torch.randn(full, generator=generator)
    image = blur(image, float(rng.uniform(0, 0.6)))
    return image + float(rng.uniform(0, 0.02)) * torch.randn(full, generator=generator), share


def _interpolated(pair: Tensor, full: tuple[int, ...], mode: str) -> tuple[Tensor, Tensor]:
    """Image and lesion share back on the 1 mm grid, as a resampled scan and its truth are."""
    corners = {} if mode == "nearest" else {"align_corners": False}
    back = functional.interpolate(pair, size=full, mode=mode, **corners)[0]
    return back[0], back[1]


def _brain(anatomy: Tensor, rng: np.random.Generator, fields: Fields) -> Tensor:
    """A brain mask as tools make them: sulci filled, the rim too tight here and too wide there, sometimes by far."""
    tissue = ((anatomy >= VENTRICLE) & (anatomy <= VESSEL)).float()
    level = float(rng.uniform(0.2, 0.6))
    wobble = float(rng.uniform(0, 0.1)) * fields.smooth(anatomy.shape, 25)
    if rng.random() < 0.25:  # residual skull and dura in places
        wobble = wobble - 0.4 * (fields.smooth(anatomy.shape, 35) - 1).clamp(0, 1)
    mask = blur(tissue, 3.0) > (level + wobble).clamp(0.03, 0.75)
    if rng.random() < 0.5:  # masks leave no holes
        mask = torch.from_numpy(ndimage.binary_fill_holes(mask.numpy()))
    if rng.random() < 0.2:  # the field of view ends inside the head
        axis, share = int(rng.choice(3, p=(0.15, 0.25, 0.6))), float(rng.uniform(0.05, 0.3))
        cut = round(share * mask.shape[axis])
        ends = slice(None, cut) if rng.random() < 0.6 else slice(mask.shape[axis] - cut, None)
        mask[tuple(ends if a == axis else slice(None) for a in range(3))] = False
    return mask
