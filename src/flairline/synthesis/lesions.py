"""Drawn lesions: where they lie, how they are shaped, how bright they are.

Every lesion is a soft share in [0, 1] of each voxel, so borders are as soft as partial volumes and oedema are.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from flairline.synthesis import training_scans as brain

KINDS = ("multiple sclerosis", "small vessel", "tumour", "infarct", "shapes of patients")


def add_lesions(
    anatomy: Tensor,
    image: Tensor,
    brightest: float,
    rng: np.random.Generator,
    fields: brain.Fields,
    shapes: list[NDArray[np.bool_]] | None,
) -> tuple[Tensor, Tensor]:
    """Draw one disease into a scan.

    Returns
    -------
    image, share
        The image with the lesions, and each voxel's share of lesion (x, y, z).
    """
    canvas = _Canvas(anatomy, image, brightest, rng, fields)
    kind = rng.choice(4, p=(0.4, 0.15, 0.33, 0.12))
    if shapes and kind in (0, 3):
        _patients_shape(canvas, shapes)
    elif kind == 0:
        _multiple_sclerosis(canvas)
    elif kind == 1:
        _small_vessel(canvas)
    elif kind == 2:
        _tumour(canvas)
    else:
        _infarct(canvas)
    return canvas.image, canvas.share


class _Canvas:
    """A scan that is being drawn into."""

    def __init__(
        self, anatomy: Tensor, image: Tensor, brightest: float, rng: np.random.Generator, fields: brain.Fields
    ) -> None:
        self.anatomy, self.image, self.brightest, self.rng, self.fields = anatomy, image, brightest, rng, fields
        self.share = torch.zeros_like(image)
        self.least = float(rng.uniform(1.1, 1.35))
        tissue = (anatomy >= brain.CORTEX) & (anatomy <= brain.HIPPOCAMPUS)
        self.tissue = brain.blur(tissue.float(), 0.6)
        half = anatomy[::2, ::2, ::2]
        far = ndimage.distance_transform_edt((half != brain.VENTRICLE).numpy()).astype(np.float32) * 2
        self.ventricle_mm = functional.interpolate(
            torch.from_numpy(far)[None, None], size=tuple(anatomy.shape), mode="trilinear", align_corners=False
        )[0, 0]

    def places(self, classes: tuple[int, ...], count: int, near_ventricle_mm: float | None = None) -> NDArray[np.int64]:
        """Random voxels of some classes (count, 3); a falling-off length crowds them towards the ventricles."""
        allowed = np.isin(self.anatomy[::2, ::2, ::2].numpy(), classes)
        voxels = np.argwhere(allowed) * 2
        if len(voxels) == 0 or count == 0:
            return np.zeros((0, 3), dtype=np.int64)
        weights = None
        if near_ventricle_mm is not None:
            weights = np.exp(-self.ventricle_mm[tuple(voxels.T)].numpy() / near_ventricle_mm) + 1e-9
            weights = weights / weights.sum()
        return voxels[self.rng.choice(len(voxels), count, p=weights)]

    def blob(self, centre: NDArray[np.int64], radii_mm: NDArray[np.floating], rough: float, border_mm: float) -> tuple:
        """A rotated ellipsoid with a rough outline: its box as slices, and each voxel's share in it."""
        reach = int(np.ceil(max(radii_mm) * (1.1 + rough))) + 3
        low = np.maximum(centre - reach, 0)
        high = np.minimum(centre + reach + 1, self.anatomy.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        axes = [
            torch.arange(int(a), int(b), dtype=torch.float32) - float(c)
            for a, b, c in zip(low, high, centre, strict=True)
        ]
        turn = np.diag(1 / radii_mm) @ brain._rotation(self.rng.uniform(-np.pi, np.pi, 3))
        place = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1) @ torch.tensor(turn.T, dtype=torch.float32)
        mean_mm = float(np.mean(radii_mm))
        outline = 1 - place.norm(dim=-1)
        outline = outline + rough * self.fields.rough(outline.shape, max(2.0, 0.8 * mean_mm))
        return box, torch.sigmoid(4 * outline * mean_mm / border_mm)

    def brightness(self, low: float = 1.1, high: float = 2.0) -> float:
        """A lesion's intensity: above white matter (1) by at least a little, and above a level that is drawn between
        white matter's and the brightest tissue's mostly. In white matter a lesion need not outshine the cortex.
        """
        level = 1 + (self.brightest - 1) * float(self.rng.uniform())
        return max(low, level * (low - 0.15 + (high - low + 0.15) * float(self.rng.beta(1.5, 2.0))))

    def brighten(self, box: tuple, share: Tensor, value: Tensor | float) -> None:
        """Blend `value` into the image by `share`, or more than is there where that is as bright already."""
        self.paint(box, share, torch.maximum(torch.as_tensor(value), self.least * self.image[box]))

    def paint(self, box: tuple, share: Tensor, value: Tensor | float) -> None:
        """Blend `value` into the image by `share`, whatever was there."""
        self.image[box] = self.image[box] * (1 - share) + value * share
        self.share[box] = torch.maximum(self.share[box], share)


def _multiple_sclerosis(canvas: _Canvas) -> None:
    """Few to many lesions of 3-15 mm: periventricular, deep, juxtacortical, infratentorial, cortical; some hollow."""
    rng = canvas.rng
    count = int(np.clip(rng.lognormal(2.6, 0.9), 1, 70))
    share = rng.dirichlet((3, 1.5, 1.2, 0.5, 0.3))
    counts = rng.multinomial(count, share)
    places = [
        *canvas.places((brain.WHITE,), counts[0], near_ventricle_mm=3.0),
        *canvas.places((brain.WHITE,), counts[1]),
        *canvas.places((brain.WHITE, brain.CORTEX), counts[2]),
        *canvas.places((brain.STEM, brain.CEREBELLAR_WHITE, brain.CEREBELLAR_CORTEX), counts[3]),
        *canvas.places((brain.CORTEX, brain.THALAMUS, brain.HIPPOCAMPUS), counts[4]),
    ]
    level, spread = canvas.brightness(), float(rng.uniform(0, 0.12))
    size, border = float(rng.uniform(1.4, 3.2)), float(rng.uniform(0.7, 3.0))
    for centre in places:
        radius = float(np.clip(rng.lognormal(np.log(size), 0.45), 1.2, 9))
        radii = radius * rng.uniform(0.6, 1.5, 3)
        box, share_in = canvas.blob(centre, radii, float(rng.uniform(0.05, 0.35)), min(border, radius))
        share_in = share_in * canvas.tissue[box]
        value = max(level * (1 + spread * float(rng.normal())), 1.1)
        canvas.brighten(box, share_in, value)
        if radius > 3.5 and rng.random() < 0.15:
            hole_box, hole = canvas.blob(centre, radii * rng.uniform(0.3, 0.55), 0.2, 1.5)
            canvas.paint(hole_box, hole, float(rng.uniform(0.3, 1.0)))
    if rng.random() < 0.35:
        _band(canvas, level, float(rng.uniform(1.5, 5)))


def _small_vessel(canvas: _Canvas) -> None:
    """Caps and bands around the ventricles that may flow together, and spots in the deep white matter."""
    rng = canvas.rng
    level = canvas.brightness(1.1, 1.8)
    _band(canvas, level, float(rng.uniform(2, 11)))
    for centre in canvas.places((brain.WHITE,), int(rng.integers(0, 40))):
        radii = float(rng.uniform(1.2, 4.5)) * rng.uniform(0.6, 1.4, 3)
        box, share = canvas.blob(centre, radii, float(rng.uniform(0.1, 0.4)), float(rng.uniform(1, 3)))
        canvas.brighten(box, share * canvas.tissue[box], level * float(rng.uniform(0.92, 1.05)))


def _band(canvas: _Canvas, level: float, depth_mm: float) -> None:
    """White matter up to about `depth_mm` from the ventricles, by places deeper and by places not at all."""
    rng = canvas.rng
    wave = canvas.fields.rough(canvas.anatomy.shape, float(rng.uniform(12, 30)))
    border_mm = float(rng.uniform(1, 3.5))
    reach = depth_mm * (0.7 + float(rng.uniform(0.3, 0.9)) * wave) - canvas.ventricle_mm
    white = brain.blur((canvas.anatomy == brain.WHITE).float(), 0.5)
    share = torch.sigmoid(4 * reach / border_mm) * white
    canvas.brighten((slice(None),) * 3, share, level)


def _tumour(canvas: _Canvas) -> None:
    """Oedema that fills white matter around a core that may be bright, mixed or dark; all of it is lesion."""
    rng = canvas.rng
    for _ in range(1 if rng.random() < 0.8 else int(rng.integers(2, 5))):
        centre = canvas.places((brain.WHITE, brain.CORTEX, brain.THALAMUS, brain.CEREBELLAR_WHITE), 1)[0]
        mean = float(rng.uniform(8, 34))
        radii = mean * rng.uniform(0.7, 1.3, 3)
        level = canvas.brightness(1.15, 2.1)
        box, oedema = canvas.blob(centre, radii, float(rng.uniform(0.15, 0.5)), float(rng.uniform(1.5, 7)))
        grey_share = float(rng.uniform(0.1, 1.0))
        anatomy = canvas.anatomy[box]
        spared = (anatomy == brain.CORTEX) | ((anatomy >= brain.THALAMUS) & (anatomy <= brain.PALLIDUM))
        resist = brain.blur(torch.where(spared, grey_share, 1.0) * (anatomy >= brain.CORTEX), 0.7)
        oedema = oedema * resist * canvas.tissue[box].clamp_min(0.0)
        texture = 1 + float(rng.uniform(0, 0.15)) * canvas.fields.smooth(oedema.shape, float(rng.uniform(6, 20)))
        canvas.brighten(box, oedema, level * texture)
        if rng.random() < 0.8:
            _core(canvas, centre, radii * float(rng.uniform(0.3, 0.85)), level)


def _core(canvas: _Canvas, centre: NDArray[np.int64], radii_mm: NDArray[np.floating], level: float) -> None:
    """Solid tumour of mixed brightness, often with a dark centre; it displaces whatever was there."""
    rng = canvas.rng
    shift = np.rint(rng.normal(0, 0.25, 3) * radii_mm).astype(np.int64)
    centre = np.clip(centre + shift, 0, np.array(canvas.anatomy.shape) - 1)
    box, share = canvas.blob(centre, radii_mm, float(rng.uniform(0.1, 0.35)), float(rng.uniform(1, 4)))
    inside = brain.blur((canvas.anatomy[box] >= brain.VENTRICLE).float() * (canvas.anatomy[box] <= brain.VESSEL), 1.0)
    share = share * inside
    solid = level * float(rng.uniform(0.55, 1.15))
    mix = float(rng.uniform(0.0, 0.3)) * canvas.fields.rough(share.shape, float(np.mean(radii_mm)) * 0.6)
    canvas.paint(box, share, (solid * (1 + mix)).clamp_min(0.1))
    if rng.random() < 0.7:
        hole_box, hole = canvas.blob(centre, radii_mm * rng.uniform(0.3, 0.95), 0.3, float(rng.uniform(1, 4)))
        canvas.paint(hole_box, hole * (canvas.share[hole_box] > 0.3), float(rng.uniform(0.15, 1.1)))


def _infarct(canvas: _Canvas) -> None:
    """A territory of cortex and white matter, swollen and bright, or small and deep."""
    rng = canvas.rng
    level = canvas.brightness(1.1, 1.8)
    for centre in canvas.places((brain.CORTEX, brain.WHITE, brain.THALAMUS, brain.STEM), int(rng.integers(1, 5))):
        radii = float(rng.choice([rng.uniform(3, 8), rng.uniform(8, 28)])) * rng.uniform(0.6, 1.5, 3)
        box, share = canvas.blob(centre, radii, float(rng.uniform(0.15, 0.45)), float(rng.uniform(1, 4)))
        texture = 1 + float(rng.uniform(0, 0.12)) * canvas.fields.smooth(share.shape, 8)
        canvas.brighten(box, share * canvas.tissue[box], level * texture)


def _patients_shape(canvas: _Canvas, shapes: list[NDArray[np.bool_]]) -> None:
    """A rater's drawing of another patient, scaled onto this brain's box, deformed and softened."""
    rng = canvas.rng
    shape = shapes[int(rng.integers(len(shapes)))]
    if rng.random() < 0.5:
        shape = shape[::-1]
    size = tuple(canvas.anatomy.shape)
    axes = [torch.linspace(-1, 1, side) for side in size]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    for axis in range(3):
        grid[..., axis] += 0.04 * canvas.fields.smooth(size, 30)
    source = torch.from_numpy(np.ascontiguousarray(shape)).float()[None, None]
    share = functional.grid_sample(source, grid.flip(-1)[None], align_corners=True)[0, 0]
    share = brain.blur(share, float(rng.uniform(0.4, 1.0))) * canvas.tissue
    texture = 1 + float(rng.uniform(0, 0.12)) * canvas.fields.smooth(size, 10)
    canvas.brighten((slice(None),) * 3, share, canvas.brightness() * texture)
