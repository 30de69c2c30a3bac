"""A synthetic cohort, made on the spot: FLAIR and T1 of patients that never were, whose lesions are known exactly.

The anatomy is the ICBM 152 (2009a) average brain that nilearn carries: its grey and white matter maps, bent by a random
smooth deformation, with the signal of FLAIR (fluid dark, grey a little brighter than white), partial volume, a bias
field and Rician noise (Gudbjartsson and Patz 1995). Lesions are of the `KINDS` below: bright ones, and some that are
not bright, which no threshold on brightness can find. A phantom shows that the programme runs and which kinds of
lesion a method sees at all; how well it does on patients only patients can tell.

A *subject* is fixed by its seed: at another spacing or orientation the same seed gives the same anatomy and lesions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError
from flairline.synthesis.contrast import CHANNELS, NARROW_FLAIR, NARROW_T1, Contrast, draw_levels
from flairline.synthesis.evaluate import anatomy_mm
from flairline.synthesis.fields import Axes, Deformation, Lattice, rotation, splines
from flairline.synthesis.lesion_kinds import KINDS as ALL_KINDS
from flairline.synthesis.lesion_kinds import PHANTOM_KINDS
from flairline.synthesis.phantom_lesions import Lesion, draw_lesions
from flairline.synthesis.plan import Extent, ScanPlan
from flairline.synthesis.render_numpy import NumpyArrays, render
from flairline.synthesis.scanner import Bias, Rician, Scanner
from flairline.synthesis.template import ORIGIN_MM, PAD_MM, SHAPE, landmarks, template
from flairline.types import Mask, Scan, Space, StoredGrid, Volume

KINDS = {kind: ALL_KINDS[kind].meaning for kind in PHANTOM_KINDS}
"""Kind of lesion that a phantom can have -> what it is."""

BRIGHT_KINDS = ("periventricular", "punctate", "tumour")
"""The kinds that are brighter than all healthy tissue, at least in part."""

PATIENTS: tuple[tuple[str, ...], ...] = (
    ("periventricular",) * 6 + ("punctate",) * 4 + ("dark",),
    ("tumour", "periventricular", "punctate"),
    ("displaced", "isointense", "isointense", "dark", "periventricular", "punctate"),
)
"""The lesions of the cohort's patients, in turn."""

DEFAULT_LESIONS = ("tumour", "displaced", "isointense", "dark", *("periventricular",) * 4, *("punctate",) * 2)
"""One of each kind, and some more of those that patients have many of."""

OBLIQUE_DEGREES = (9.0, -6.0, 14.0)
"""Turns about x, y and z of the orientation "oblique"."""

SHELLS = {"flair": (0.2, 0.08, 1.25), "t1": (0.2, 0.08, 1.6)}
"""Signal of fluid, bone and scalp around the brain."""
SHELLS_MM = (2.0, 8.0, 14.0)
"""Their outer ends, by distance from the brain."""
WHITE = 600.0
"""White matter's signal in scanner units; rounded to whole numbers as scanners store them, so ties occur."""
COARSE_MM, FINE_MM, BIAS_MM = 40.0, 14.0, 70.0
"""Between the knots of the two displacements and of the bias field."""


@dataclass(frozen=True, eq=False)
class LesionKinds:
    """Which voxel belongs to which lesion: `labels` (x, y, z) holds 0 or the number n of a lesion of kind `names[n-1]`.

    Every number has voxels: a lesion that another one covers wholly, or that is too small for the grid, is left out.
    """

    labels: NDArray[np.int32]
    names: tuple[str, ...]

    def of_kind(self, kind: str) -> NDArray[np.bool_]:
        """The voxels of all lesions of one kind."""
        return np.isin(self.labels, [number for number, name in enumerate(self.names, start=1) if name == kind])


def phantom(
    seed: int | np.random.Generator,
    spacing_mm: float | tuple[float, float, float] = 2.0,
    lesions: Sequence[str | Lesion] = DEFAULT_LESIONS,
    orientation: str = "RAS",
    *,
    with_skull: bool = False,
    noise: float = 0.03,
    bias: float = 0.04,
) -> tuple[Scan, Mask, LesionKinds]:
    """One synthetic subject, in memory.

    Parameters
    ----------
    seed
        A number or a generator; the same one gives the same bytes.
    spacing_mm
        Voxel sides in whole mm, one number or three in RAS+ order. Voxels hold averages over 1 mm maps.
    lesions
        Kinds of `KINDS`, or `Lesion` where place or size matter. None at all: a healthy subject.
    orientation
        How the file lies on disk: three letters such as RAS, LAS, LPS or PSR, or "oblique" (tilted by
        `OBLIQUE_DEGREES`, stored LPS). The arrays are the same for all.
    with_skull
        Put fluid, bone and scalp around the brain, on a grid that is larger by 18 mm on each side.
    noise
        Standard deviation of the noise in either channel, as a share of white matter's signal.
    bias
        Standard deviation, about, of the logarithm of the bias field; what a correction such as N4 leaves.

    Returns
    -------
    Scan, Mask, LesionKinds
        With FLAIR, T1 and brain; zero outside the brain (or the head); the truth is where any lesion fills at least
        half of a voxel (for "displaced": where the push is at least half as far as at its farthest).

    Raises
    ------
    InputError
        An unknown kind or orientation, or a spacing that is not of whole mm.
    """
    sides = _whole_sides(spacing_mm)
    space = _grid(sides, orientation, PAD_MM if with_skull else 0)
    plan, points_mm = draw(seed, sides, lesions, with_skull=with_skull, noise=noise, bias=bias)
    rendered = render(plan, points_mm)
    numbers = rendered.numbers[rendered.brain]
    visible = np.setdiff1d(numbers, [0])
    labels = np.zeros(space.shape, dtype=np.int32)
    labels[rendered.brain] = np.where(numbers > 0, np.searchsorted(visible, numbers) + 1, 0)
    flair, t1 = (Volume(rendered.images[channel], space) for channel in CHANNELS)
    scan = Scan.of("phantom", flair, Mask(rendered.brain, space), t1)
    kinds = LesionKinds(labels, tuple(plan.lesions[number - 1].kind for number in visible))
    return scan, Mask(labels > 0, space), kinds


def draw(
    seed: int | np.random.Generator,
    sides: tuple[int, int, int],
    lesions: Sequence[str | Lesion] = DEFAULT_LESIONS,
    *,
    with_skull: bool = False,
    noise: float = 0.03,
    bias: float = 0.04,
) -> tuple[ScanPlan, NDArray[np.float32]]:
    """What is drawn of a phantom, and the template's mm of its brain's voxels (3, n). Parameters as of `phantom`."""
    rng = np.random.default_rng(seed)
    of_anatomy, of_lesions, of_imaging = rng.spawn(3)  # so that the grid, which only noise depends on, moves nothing
    wanted = [_checked(lesion) for lesion in lesions]
    deformation = _deformation(of_anatomy)
    levels = [draw_levels(of_anatomy, ranges) for ranges in (NARROW_FLAIR, NARROW_T1)]
    contrasts = {channel: Contrast(level, SHELLS[channel]) for channel, level in zip(CHANNELS, levels, strict=True)}
    x, y, z = (_axis_mm(axis, sides, PAD_MM if with_skull else 0) for axis in range(3))
    axes_mm: Axes = (x, y, z)
    extent, points_mm = _extent(axes_mm, sides, deformation, with_skull)
    drawn = draw_lesions(wanted, contrasts, max(sides), of_lesions)
    voxels = int(np.count_nonzero(extent.signal))
    scanners = {channel: _scanner(of_imaging, voxels, noise, bias) for channel in CHANNELS}
    plan = ScanPlan(axes_mm, template(sides).anatomy, deformation, contrasts, scanners, drawn, extent)
    return plan, points_mm


def _checked(lesion: str | Lesion) -> Lesion:
    lesion = Lesion(lesion) if isinstance(lesion, str) else lesion
    if lesion.kind not in KINDS:
        msg = f"No kind of lesion is called {lesion.kind!r}. Known: {', '.join(KINDS)}."
        raise InputError(msg)
    return lesion


def _deformation(rng: np.random.Generator) -> Deformation:
    """Heads differ by some per cent in size, lie a little askew, and have gyri of their own."""
    size = np.diag(rng.uniform(0.98, 1.08, size=3))
    matrix = rotation(np.radians(rng.uniform(-3, 3, size=3))) @ size
    coarse = [_splines(rng, COARSE_MM, 7.0) for _ in range(3)]
    fine = [_splines(rng, FINE_MM, 3.0) for _ in range(3)]
    middle_mm = np.array(ORIGIN_MM) + np.array(SHAPE) / 2
    x, y, z = zip(coarse, fine, strict=True)
    return Deformation(matrix, middle_mm, middle_mm + rng.uniform(-2, 2, size=3), (x, y, z))


def _splines(rng: np.random.Generator, knot_mm: float, sd: float) -> Lattice:
    """A field over the padded field of view."""
    return splines(rng, [low - PAD_MM for low in ORIGIN_MM], [side + 2 * PAD_MM for side in SHAPE], knot_mm, sd)


def _extent(
    axes_mm: Axes, sides: tuple[int, int, int], deformation: Deformation, with_skull: bool
) -> tuple[Extent, NDArray[np.float32]]:
    """Brain and head on a grid, and the template's mm of the brain's voxels (3, n)."""
    arrays, maps = NumpyArrays(), template(sides)
    shape = tuple(len(axis) for axis in axes_mm)
    points_mm = np.empty((3, *shape), dtype=np.float32)
    for axis in range(3):
        points_mm[axis] = anatomy_mm(arrays, deformation, axes_mm, axis)
    flat = points_mm.reshape(3, -1)
    brain = arrays.linear(maps.brain, maps.anatomy.origin_mm, np.array(sides), flat).reshape(shape) >= 0.5
    shells = None
    if with_skull:
        marks = landmarks()
        distance = arrays.linear(marks.outside_mm, marks.origin_mm, np.array((2, 2, 2)), flat).reshape(shape)
        shells = np.digitize(distance, SHELLS_MM).astype(np.int8) + np.int8(1)
        shells[(shells > 3) | (distance == 0)] = 0  # zero is also what lies beyond the template's grid
        shells[brain] = 1
    return Extent(brain, shells), points_mm[:, brain]


def _scanner(rng: np.random.Generator, voxels: int, noise: float, bias: float) -> Scanner:
    """Bias and Rician noise of one channel."""
    field = (_splines(rng, BIAS_MM, 3 * bias),)
    real, imaginary = (np.float32(noise) * rng.standard_normal(voxels, dtype=np.float32) for _ in range(2))
    return Scanner(Bias(field), rician=Rician(real, imaginary, WHITE))


def _whole_sides(spacing_mm: float | tuple[float, float, float]) -> tuple[int, int, int]:
    sides = np.broadcast_to(np.asarray(spacing_mm, dtype=float), 3)
    if not ((sides == np.round(sides)) & (sides >= 1) & (sides <= 8)).all():
        msg = f"Wanted a spacing of whole mm from 1 to 8 for a phantom, found {spacing_mm}. Give 1 or 2."
        raise InputError(msg)
    x, y, z = (int(side) for side in sides)
    return x, y, z


def _axis_mm(axis: int, sides: tuple[int, int, int], pad_mm: int) -> NDArray[np.float64]:
    """Centres of the voxels along an axis, in the subject's RAS+ mm."""
    pad = -(-pad_mm // sides[axis])
    voxels = np.arange(-pad, -(-SHAPE[axis] // sides[axis]) + pad, dtype=np.float64)
    return ORIGIN_MM[axis] + (sides[axis] - 1) / 2 + sides[axis] * voxels


def _grid(sides: tuple[int, int, int], orientation: str, pad_mm: int) -> Space:
    """The grid in RAS+ order, which remembers how it is to lie on disk."""
    from nibabel.orientations import axcodes2ornt, inv_ornt_aff

    axes = [_axis_mm(axis, sides, pad_mm) for axis in range(3)]
    shape = tuple(len(axis) for axis in axes)
    affine = np.diag([*sides, 1.0])
    affine[:3, 3] = [axis[0] for axis in axes]
    codes = orientation
    if orientation == "oblique":
        tilt = np.eye(4)
        tilt[:3, :3] = rotation(np.radians(OBLIQUE_DEGREES))
        affine, codes = tilt @ affine, "LPS"
    if len(codes) != 3 or any(len(set(codes) & set(pair)) != 1 for pair in ("LR", "PA", "IS")):
        msg = f"Wanted an orientation such as RAS, LAS, LPS or oblique, found {orientation!r}."
        raise InputError(msg)
    to_ras = axcodes2ornt(codes)
    stored_shape = tuple(shape[int(axis)] for axis in to_ras[:, 0])
    stored_affine = affine @ np.linalg.inv(inv_ornt_aff(to_ras, stored_shape))
    return Space(shape, affine, "native", StoredGrid(stored_shape, stored_affine, to_ras))  # type: ignore[arg-type]
