"""FLAIR scans that nobody was scanned for: a label map, deformed, coloured, diseased, blurred and noisy.

One label map gives as many scans as one likes. Contrast, bias, resolution, noise and what is left of the skull are
drawn anew for each, far wider than scanners differ, so that a network trained on them has no scanner to get used to
(the idea of SynthSeg: Billot et al. 2023, https://doi.org/10.1016/j.media.2023.102789). Here the target is not anatomy
but lesions: drawn blobs of many kinds with soft borders. Everything works at 1 mm in RAS+.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.errors import InputError
from flairline.imaging.tissue import normal_tissue
from flairline.synthesis.anatomy import OUTSIDE, SOFT, VENTRICLE, Anatomy, labelled
from flairline.synthesis.contrast import CHANNELS, draw_flair, draw_septum, draw_t1
from flairline.synthesis.diseases import draw_disease
from flairline.synthesis.evaluate import anatomy_mm, nearest_labels, pushed
from flairline.synthesis.fields import Axes, Deformation, Field, Lattice, rotation, scaled, smooth
from flairline.synthesis.lesions import DrawnLesion
from flairline.synthesis.pencil import Pencil, Site
from flairline.synthesis.plan import Rendered, ScanPlan
from flairline.synthesis.remnants import draw_remnants
from flairline.synthesis.render_numpy import NumpyArrays
from flairline.synthesis.scanner import draw_brain_mask, draw_scanner, misplaced

Z_RANGE = (-5.0, 10.0)
"""The network sees normal tissue at 0, in half-widths, cut off here; outside the brain is as dark as CSF."""
MIN_LESION = 0.25
"""A voxel belongs to the truth where at least this share of it is lesion, after the blur of the scan's resolution."""
AT_HALF_HEIGHT = ("periventricular", "punctate", "juxtacortical", "confluent", "cortical")
"""Kinds of lesions whose borders raters draw where they have fallen to half; only where a scan has no other kinds."""
NEARBY = 7
"""Voxels, along each axis, of the cube in which a lesion's height is looked for."""
T1_RANGE = (-5.0, 5.0)
"""The network sees a T1's median at 0, in half-widths, cut off here."""
STIFF_MM = 12.0
"""So near to the skull tissue is pushed less and less."""
STEP = 3
"""Voxels of the map of where ventricles draw tissue to, along each axis."""


@dataclass(frozen=True, eq=False)
class Synthetic:
    """One synthetic scan at 1 mm in RAS+: normalised image, truth and brain (x, y, z), and the T1 if it was wanted.

    `vox_to_atlas` (4x4) leads from its voxels to mm of the symmetric atlas MNI152, where the anatomy's place is known.
    """

    image: NDArray[np.float16]
    truth: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    t1: NDArray[np.float16] | None = None
    vox_to_atlas: NDArray[np.float64] | None = None


def synthesise(
    classes: NDArray[np.uint8],
    rng: np.random.Generator,
    shapes: Sequence[NDArray[np.bool_]] | None = None,
    lesions: bool = True,
    channels: Sequence[str] = ("flair",),
    device: str = "cpu",
    to_atlas: NDArray[np.float64] | None = None,
) -> Synthetic:
    """One scan from one class map.

    Parameters
    ----------
    classes
        What `anatomy.to_classes` gives, 1 mm, RAS+.
    rng
        Everything random comes from it.
    shapes
        Lesion masks of other patients (1 mm) to place instead of random MS-like shapes; None: random shapes only.
    lesions
        False gives a scan without lesions.
    channels
        ("flair",) or ("flair", "t1"); the FLAIR is the same for both.
    device
        Where torch renders it. The scan is the same on every device, up to rounding.
    to_atlas
        4x4, from the class map's mm, counted from its middle, to those of the atlas MNI152.

    Raises
    ------
    InputError
        Other channels.
    """
    from flairline.synthesis.render_torch import render

    plan = draw(classes, rng, shapes, lesions, channels, to_atlas)
    rendered = render(plan, device)
    brain = rendered.brain
    image = _normalised(rendered.images["flair"], brain)
    t1 = t1_widths(rendered.images["t1"], brain).astype(np.float16) if "t1" in channels else None
    return Synthetic(image, truth_of(plan, rendered), brain, t1, plan.vox_to_atlas)


def truth_of(plan: ScanPlan, rendered: Rendered) -> NDArray[np.bool_]:
    """Voxels of the brain of which at least `MIN_LESION` is lesion; in diseases of white matter, half of what is there
    nearby, if that is more: an edge is where a blurred border has fallen to half of its height.
    """
    marked = (rendered.share >= MIN_LESION) & rendered.brain
    if plan.lesions and all(lesion.kind in AT_HALF_HEIGHT for lesion in plan.lesions):
        marked &= rendered.share >= 0.5 * ndimage.maximum_filter(rendered.share, NEARBY)
    return np.asarray(marked, bool)


def draw(
    classes: NDArray[np.uint8],
    rng: np.random.Generator,
    shapes: Sequence[NDArray[np.bool_]] | None = None,
    lesions: bool = True,
    channels: Sequence[str] = ("flair",),
    to_atlas: NDArray[np.float64] | None = None,
) -> ScanPlan:
    """What is drawn of a training scan. Parameters and errors as of `synthesise`."""
    if tuple(channels) not in (CHANNELS[:1], CHANNELS):
        msg = f"Wanted the channels ('flair',) or ('flair', 't1') for a synthetic scan, found {tuple(channels)}."
        raise InputError(msg)
    of_fields, of_t1, of_t1_lesions = (np.random.default_rng(int(rng.integers(2**62))) for _ in range(3))
    anatomy, axes_mm, deformation = draw_anatomy(labelled(classes, to_atlas), rng, of_fields)
    flair = draw_flair(rng, of_fields, axes_mm)
    flair = replace(flair, septum=draw_septum(rng, anatomy))
    site = look(anatomy, axes_mm, deformation, flair.brightest)
    drawn: tuple[DrawnLesion, ...] = ()
    if lesions:
        drawn = draw_disease(site, rng, of_fields, of_t1_lesions, shapes)
        deformation = pushed_away(site, deformation, drawn)
    contrasts, scanners = {"flair": flair}, {"flair": draw_scanner(rng, of_fields, axes_mm)}
    remnants = draw_remnants(Pencil(site, rng, of_fields, of_t1_lesions))
    brain_mask = draw_brain_mask(rng, of_fields, axes_mm, remnants)
    if "t1" in channels:
        contrasts["t1"] = draw_t1(of_t1, axes_mm)
        scanners["t1"] = misplaced(of_t1, draw_scanner(of_t1, of_t1, axes_mm))
    return ScanPlan(axes_mm, anatomy, deformation, contrasts, scanners, drawn, brain_mask=brain_mask)


def draw_anatomy(
    anatomy: Anatomy, rng: np.random.Generator, of_fields: np.random.Generator
) -> tuple[Anatomy, Axes, Deformation]:
    """Affine and elastic deformation, left and right swapped half of the time, ventricles widened half of the time."""
    if rng.random() < 0.5:
        anatomy = anatomy.mirrored()
    assert anatomy.labels is not None
    scale = rng.uniform(0.9, 1.12) * rng.uniform(0.94, 1.06, 3)
    sides = [round(side * s / 8) * 8 for side, s in zip(anatomy.labels.shape, scale, strict=True)]
    matrix = np.diag(1 / scale) @ rotation(np.radians(rng.normal(0, 6, 3)))
    matrix = matrix @ (np.eye(3) + np.triu(rng.normal(0, 0.03, (3, 3)), 1))
    x, y, z = (np.arange(side) - (side - 1) / 2 for side in sides)
    axes_mm: Axes = (x, y, z)
    coarse, fine = float(rng.uniform(0, 3.5)), float(rng.uniform(0, 1.0))
    displacement: list[Field] = [
        (*scaled(smooth(of_fields, axes_mm, 40), coarse), *scaled(smooth(of_fields, axes_mm, 12), fine))
        for _ in range(3)
    ]
    dx, dy, dz = displacement
    deformation = Deformation(matrix, np.zeros(3), np.zeros(3), (dx, dy, dz))
    if rng.random() < 0.5:
        deformation = widen_ventricles(anatomy, axes_mm, deformation, float(rng.uniform(0, 6)))
    return anatomy, axes_mm, deformation


def widen_ventricles(anatomy: Anatomy, axes_mm: Axes, deformation: Deformation, most_mm: float) -> Deformation:
    """Let the places of a scan look towards the ventricles by up to `most_mm`: larger ventricles and less tissue
    around them, as age and disease make them. The map of it is smooth, so every third voxel tells it.
    """
    assert anatomy.labels is not None
    arrays = NumpyArrays()
    near = ndimage.gaussian_filter((anatomy.labels[::STEP, ::STEP, ::STEP] == VENTRICLE).astype(np.float32), 2.5)
    pull = np.stack(np.gradient(near))
    pull *= most_mm / max(float(np.linalg.norm(pull, axis=0).max()), 1e-6)
    x, y, z = (axis[0] + STEP * np.arange(-(-(len(axis) - 1) // STEP) + 1) for axis in axes_mm)
    knots: Axes = (x, y, z)
    places = np.stack([anatomy_mm(arrays, deformation, knots, axis).ravel() for axis in range(3)])
    start, step = (float(x[0]), float(y[0]), float(z[0])), (float(STEP),) * 3
    wider = []
    for axis, before in enumerate(deformation.displacement_mm):
        values = arrays.linear(pull[axis].astype(np.float32), anatomy.origin_mm, np.full(3, float(STEP)), places)
        wider.append((*before, Lattice(values.reshape(len(x), len(y), len(z)), start, step, 1)))
    dx, dy, dz = wider
    return Deformation(deformation.matrix, deformation.middle_mm, deformation.target_mm, (dx, dy, dz))


def pushed_away(site: Site, deformation: Deformation, lesions: Sequence[DrawnLesion]) -> Deformation:
    """Let tissue give way to what pushes it: ventricles, midline and cortex move, but the skull stays where it is.

    A push is in the scan's mm, so places around it look towards its middle. The map of it is smooth, so every second
    voxel tells it.
    """
    pushes = [lesion.push for lesion in lesions if lesion.push is not None]
    if not pushes:
        return deformation
    arrays = NumpyArrays()
    x, y, z = (axis[::2] for axis in site.axes_mm)
    here = arrays.mesh([line.astype(np.float32) for line in (x, y, z)])
    there = here
    for push in pushes:
        there = pushed(arrays, there, push)
    head = (site.labels > OUTSIDE) & (site.labels < SOFT)
    free = np.clip(2 * ndimage.distance_transform_edt(head) / STIFF_MM, 0, 1)
    moved = deformation.matrix @ ((there - here) * free.ravel())
    start = (float(x[0]), float(y[0]), float(z[0]))
    dx, dy, dz = (
        (*before, Lattice(line.reshape(head.shape).astype(np.float32), start, (2.0, 2.0, 2.0), 1))
        for before, line in zip(deformation.displacement_mm, moved, strict=True)
    )
    return replace(deformation, displacement_mm=(dx, dy, dz))


def t1_widths(image: NDArray[np.floating], brain: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A T1 in half-widths of its brain from its median, cut off at `T1_RANGE`; 0 outside the brain.

    Grey and white matter are two peaks of a T1's histogram, either of which may be the higher one, so no peak is
    looked for.
    """
    low, middle, high = np.quantile(image[brain], (0.16, 0.5, 0.84)) if brain.any() else (0.0, 0.0, 1.0)
    half = max(float(high - low) / 2, float(np.finfo(np.float32).tiny))
    return np.where(brain, np.clip((image - middle) / half, *T1_RANGE), 0).astype(np.float32)


def look(anatomy: Anatomy, axes_mm: Axes, deformation: Deformation, brightest: float) -> Site:
    """The deformed brain at every second voxel, for the places of lesions."""
    x, y, z = (axis[::2] for axis in axes_mm)
    labels = nearest_labels(NumpyArrays(), anatomy, deformation, (x, y, z))
    far = 2 * ndimage.distance_transform_edt(labels != VENTRICLE).astype(np.float32)
    return Site(axes_mm, labels, far, brightest)


def _normalised(image: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.float16]:
    """Half-widths above normal tissue."""
    low, high = Z_RANGE
    z = np.clip(normal_tissue(image[brain]).z(image), low, high)
    z[~brain] = low
    return z.astype(np.float16)
