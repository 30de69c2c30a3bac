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
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError
from flairline.types import Mask, Scan, Space, StoredGrid, Volume

KINDS = {
    "periventricular": "bright, at the wall of the ventricles, as in multiple sclerosis",
    "punctate": "bright and small, in the deep white matter",
    "tumour": "large, bright oedema around a core that is not, pushes the tissue around it away",
    "isointense": "as bright as grey matter, in white matter",
    "dark": "darker than any tissue, brighter than fluid, as an old infarct",
    "displaced": "tissue of its usual brightness in an unusual place: pushed away from a point",
}
"""Kind of lesion -> what it is."""

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

_RADIUS_MM = {
    "periventricular": (4.0, 8.0),
    "punctate": (2.5, 4.5),
    "tumour": (17.0, 23.0),
    "isointense": (6.0, 10.0),
    "dark": (5.0, 9.0),
    "displaced": (12.0, 16.0),
}
# Signal as a multiple of white matter's. Bright lesions of real 3 T FLAIRs have a median of 1.3 to 1.4 and reach 1.6.
_FLAIR = {"periventricular": (1.3, 1.55), "punctate": (1.25, 1.5), "tumour": (1.35, 1.6), "dark": (0.35, 0.6)}
_T1 = {"periventricular": (0.65, 0.75), "punctate": (0.7, 0.8), "tumour": (0.6, 0.7), "dark": (0.35, 0.45)}
_ROUGHNESS = {"tumour": 0.5}
_EDGE_MM = {"tumour": 5.0}  # over which the signal falls off; never less than a voxel
_FLAIR_TISSUES = {"csf": (0.12, 0.25), "grey": (1.1, 1.2)}
_T1_TISSUES = {"csf": (0.2, 0.3), "grey": (0.65, 0.75)}
_WHITE = 600.0  # scanner units; rounded to whole numbers as scanners store them, so ties occur
_CHUNK = 1_000_000  # voxels interpolated at once
_PAD_MM = 18  # around the template's field of view, for scalp and skull
_SHELLS_MM = (2.0, 8.0, 14.0)  # outer ends of fluid, bone and scalp, by distance from the brain


@dataclass(frozen=True)
class Lesion:
    """A lesion to make: `kind` of `KINDS`; where `centre_mm` or `radius_mm` is None it is drawn at random.

    `centre_mm` is in the template's millimetres (MNI, RAS+), before the deformation, which moves it by some mm.
    """

    kind: str
    centre_mm: tuple[float, float, float] | None = None
    radius_mm: float | None = None


@dataclass(frozen=True)
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
    rng = np.random.default_rng(seed)
    of_anatomy, of_lesions, of_imaging = rng.spawn(3)  # so that the grid, which only noise depends on, moves nothing
    wanted = [_checked(lesion) for lesion in lesions]
    sides = _whole_sides(spacing_mm)
    space = _grid(sides, orientation, _PAD_MM if with_skull else 0)
    maps = _maps(sides)
    deformation = _Deformation.draw(of_anatomy)
    contrast = _Contrast.draw(of_anatomy)
    axes_mm = [_axis_mm(axis, sides, _PAD_MM if with_skull else 0) for axis in range(3)]
    template_mm = deformation.template_mm(axes_mm)  # (3, x, y, z)
    brain = _sample(maps.brain, maps.origin_mm, sides, template_mm.reshape(3, -1)).reshape(space.shape) >= 0.5
    placed = _place(wanted, of_lesions)
    labels, flair, t1 = _paint(placed, template_mm[:, brain], maps, contrast, max(sides), of_lesions)
    head = _head_shells(template_mm, brain) if with_skull else None
    images = [
        _image(brain, signal, head, axes_mm, noise, bias, of_imaging, fat) for signal, fat in ((flair, 1.25), (t1, 1.6))
    ]
    label_volume = np.zeros(space.shape, dtype=np.int32)
    visible = np.setdiff1d(labels, [0])
    label_volume[brain] = np.where(labels > 0, np.searchsorted(visible, labels) + 1, 0)
    scan = Scan.of("phantom", Volume(images[0], space), Mask(brain, space), Volume(images[1], space))
    kinds = LesionKinds(label_volume, tuple(placed[number - 1].kind for number in visible))
    return scan, Mask(label_volume > 0, space), kinds


# --- the template ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Maps:
    """Shares of brain, grey and white matter (x, y, z) of each voxel, and where the first voxel's centre is."""

    brain: NDArray[np.float32]
    grey: NDArray[np.float32]
    white: NDArray[np.float32]
    origin_mm: NDArray[np.float64]
    sides_mm: tuple[int, int, int]


_ORIGIN_MM = (-98.0, -134.0, -72.0)
_SHAPE = (197, 233, 189)
"""nilearn's ICBM 152 grid at 1 mm: centre of the first voxel and shape."""


@lru_cache(maxsize=2)
def _maps(sides: tuple[int, int, int]) -> _Maps:
    """The template's maps as averages over voxels of `sides` mm."""
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

    if sides != (1, 1, 1):
        fine = _maps((1, 1, 1))
        brain, grey, white = (_block_mean(array, sides) for array in (fine.brain, fine.grey, fine.white))
        return _Maps(brain, grey, white, fine.origin_mm + (np.array(sides) - 1) / 2, sides)
    t1, grey, white = (
        load(resolution=1).get_fdata(dtype=np.float32)
        for load in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template)
    )
    brain = (t1 > 0.2).astype(np.float32)
    # An average of 152 brains is blurred; squared shares are closer to the crisp borders of one brain.
    fluid = np.clip(2.5 * (1 - grey - white), 0, 1)  # narrow sulci are washed out most
    total = grey**2 + white**2 + fluid**2 + np.float32(1e-6)
    return _Maps(brain, grey**2 / total, white**2 / total, np.array(_ORIGIN_MM), sides)


def _block_mean(array: NDArray[np.float32], sides: tuple[int, int, int]) -> NDArray[np.float32]:
    """Means over blocks of `sides` voxels; the last block is filled up with zeros."""
    padded = np.pad(array, [(0, -length % side) for length, side in zip(array.shape, sides, strict=True)])
    x, y, z = (length // side for length, side in zip(padded.shape, sides, strict=True))
    return padded.reshape(x, sides[0], y, sides[1], z, sides[2]).mean(axis=(1, 3, 5))


def _sample(
    array: NDArray[np.float32],
    origin_mm: NDArray[np.float64],
    sides_mm: tuple[int, int, int],
    mm: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Linear interpolation of a map at template millimetres (3, n); zero outside of it."""
    from scipy.ndimage import map_coordinates

    values = np.empty(mm.shape[1], dtype=np.float32)
    for start in range(0, mm.shape[1], _CHUNK):  # map_coordinates works in float64: all at once would take half a GB
        part = slice(start, start + _CHUNK)
        voxels = (mm[:, part] - origin_mm[:, None]) / np.array(sides_mm)[:, None]
        map_coordinates(array, voxels, output=values[part], order=1, mode="constant")
    return values


@dataclass(frozen=True)
class _Landmarks:
    """From maps at 2 mm: distance from the brain, and for each kind of lesion the places where it may lie."""

    outside_mm: NDArray[np.float32]  # on the template's grid widened by `_PAD_MM`
    origin_mm: NDArray[np.float64]
    centres_mm: dict[str, NDArray[np.float64]]


@lru_cache(maxsize=1)
def _landmarks() -> _Landmarks:
    from scipy.ndimage import binary_erosion, distance_transform_edt, label

    sides = (2, 2, 2)
    maps = _maps(sides)
    pad = _PAD_MM // 2
    brain, white, grey = (np.pad(array, pad) for array in (maps.brain, maps.white, maps.grey))
    origin = maps.origin_mm - 2 * pad
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
    return _Landmarks(outside, origin, centres)


# --- anatomy --------------------------------------------------------------------------------------------------------


def _spline_basis(axis_mm: NDArray[np.float64], axis: int, knot_mm: float) -> NDArray[np.float32]:
    """Uniform cubic B-splines (n, knots) over the padded field of view, the same for every grid."""
    start = _ORIGIN_MM[axis] - _PAD_MM - 2 * knot_mm
    count = int(np.ceil((_SHAPE[axis] + 2 * _PAD_MM) / knot_mm)) + 5
    t = np.abs((axis_mm[:, None] - start) / knot_mm - np.arange(count))
    near = 2 / 3 - t**2 + t**3 / 2
    far = np.clip(2 - t, 0, None) ** 3 / 6
    return np.where(t < 1, near, far).astype(np.float32)


def _spline_field(
    axes_mm: Sequence[NDArray[np.float64]], coefficients: NDArray[np.float32], knot_mm: float
) -> NDArray[np.float32]:
    """Tensor-product spline: coefficients (a, b, c) -> field (x, y, z)."""
    field: NDArray[Any] = coefficients
    for axis in range(3):
        field = np.moveaxis(np.tensordot(_spline_basis(axes_mm[axis], axis, knot_mm), field, (1, axis)), 0, axis)
    return field


def _spline_coefficients(rng: np.random.Generator, knot_mm: float, sd: float) -> NDArray[np.float32]:
    """Independent normal coefficients for `_spline_field`."""
    shape = [_spline_basis(np.zeros(1), axis, knot_mm).shape[1] for axis in range(3)]
    return (sd * rng.standard_normal(shape)).astype(np.float32)


@dataclass(frozen=True)
class _Deformation:
    """From a subject's millimetres to the template's: an affine map plus two smooth displacements."""

    matrix: NDArray[np.float64]
    shift_mm: NDArray[np.float64]
    coarse: tuple[NDArray[np.float32], ...]
    fine: tuple[NDArray[np.float32], ...]

    COARSE_MM: ClassVar[float] = 40.0
    FINE_MM: ClassVar[float] = 14.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Deformation:
        """Heads differ by some per cent in size, lie a little askew, and have gyri of their own."""
        size = np.diag(rng.uniform(0.98, 1.08, size=3))
        matrix = _rotation(rng.uniform(-3, 3, size=3)) @ size
        coarse = tuple(_spline_coefficients(rng, cls.COARSE_MM, 7.0) for _ in range(3))
        fine = tuple(_spline_coefficients(rng, cls.FINE_MM, 3.0) for _ in range(3))
        return cls(matrix, rng.uniform(-2, 2, size=3), coarse, fine)

    def template_mm(self, axes_mm: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
        """Template millimetres (3, x, y, z) of the grid with these voxel centres."""
        centre = np.array(_ORIGIN_MM) + np.array(_SHAPE) / 2
        moved = np.empty((3, *(len(axis) for axis in axes_mm)), dtype=np.float32)
        x, y, z = (
            (axis - centre[i]).astype(np.float32).reshape([-1 if i == j else 1 for j in range(3)])
            for i, axis in enumerate(axes_mm)
        )
        for k in range(3):
            a, b, c = self.matrix[k].astype(np.float32)
            moved[k] = a * x + b * y + c * z + np.float32(centre[k] + self.shift_mm[k])
            moved[k] += _spline_field(axes_mm, self.coarse[k], self.COARSE_MM)
            moved[k] += _spline_field(axes_mm, self.fine[k], self.FINE_MM)
        return moved


@dataclass(frozen=True)
class _Contrast:
    """Signal of grey matter and fluid against white matter's 1."""

    flair: dict[str, float]
    t1: dict[str, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Contrast:
        flair, t1 = (
            {tissue: float(rng.uniform(*bounds)) for tissue, bounds in tissues.items()}
            for tissues in (_FLAIR_TISSUES, _T1_TISSUES)
        )
        return cls(flair, t1)


# --- lesions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Placed:
    """A lesion with its place, size and shape: an ellipsoid whose surface random waves move in and out."""

    kind: str
    centre_mm: NDArray[np.float64]
    radius_mm: float
    axes: NDArray[np.float64]  # (3, 3), determinant 1
    waves: NDArray[np.float64]  # (6, 4): wave vector per mm, phase

    def inside_mm(self, mm: NDArray[np.float32]) -> NDArray[np.float32]:
        """How far points (3, n) of the template lie inside the surface, in mm; negative outside, rough far away."""
        off = mm - self.centre_mm[:, None].astype(np.float32)
        distance = np.linalg.norm(self.axes.astype(np.float32) @ off, axis=0)
        surface = np.zeros_like(distance)
        for wave in self.waves.astype(np.float32):
            surface += np.cos(wave[:3] @ off + wave[3])
        roughness = np.float32(_ROUGHNESS.get(self.kind, 0.22) * self.radius_mm / np.sqrt(len(self.waves)))
        return (np.float32(self.radius_mm) - distance + roughness * surface).astype(np.float32)


def _checked(lesion: str | Lesion) -> Lesion:
    lesion = Lesion(lesion) if isinstance(lesion, str) else lesion
    if lesion.kind not in KINDS:
        msg = f"No kind of lesion is called {lesion.kind!r}. Known: {', '.join(KINDS)}."
        raise InputError(msg)
    return lesion


def _place(lesions: Sequence[Lesion], rng: np.random.Generator) -> list[_Placed]:
    """Draw what is not given; lesions keep apart where there is room."""
    placed: list[_Placed] = []
    for lesion in lesions:
        radius = rng.uniform(*_RADIUS_MM[lesion.kind])
        centre = _free_centre(lesion.kind, radius, placed, rng)
        stretch = np.exp(rng.normal(0, 0.2, size=3))
        axes = np.diag(stretch / np.cbrt(stretch.prod())) @ _rotation(rng.uniform(-90, 90, size=3))
        directions = rng.normal(size=(6, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        radius = radius if lesion.radius_mm is None else lesion.radius_mm
        lengths = radius * rng.uniform(1.2, 3.0, size=6)
        waves = np.column_stack([directions * (2 * np.pi / lengths)[:, None], rng.uniform(0, 2 * np.pi, size=6)])
        centre = centre if lesion.centre_mm is None else np.array(lesion.centre_mm, dtype=float)
        placed.append(_Placed(lesion.kind, centre, radius, axes, waves))
    return placed


def _free_centre(kind: str, radius: float, placed: list[_Placed], rng: np.random.Generator) -> NDArray[np.float64]:
    """Of 200 candidates the first that keeps 5 mm from all lesions, or else the one with most room."""
    candidates = _landmarks().centres_mm[kind]
    candidates = candidates[rng.integers(len(candidates), size=200)] + rng.uniform(-1, 1, size=(200, 3))
    room = np.full(len(candidates), np.inf)
    for other in placed:
        apart = np.linalg.norm(candidates - other.centre_mm, axis=1)
        room = np.minimum(room, apart - 1.3 * (other.radius_mm + radius))
    free = np.flatnonzero(room >= 5)
    return candidates[free[0] if free.size else room.argmax()]


def _paint(
    placed: list[_Placed],
    mm: NDArray[np.float32],
    maps: _Maps,
    contrast: _Contrast,
    side_mm: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Labels, FLAIR and T1 signal (white matter is 1) of the brain voxels at template millimetres `mm` (3, n)."""
    tissue_mm = mm
    for lesion in placed:
        if lesion.kind in ("tumour", "displaced"):
            tissue_mm = _pushed(tissue_mm, lesion)
    grey, white = (_sample(array, maps.origin_mm, maps.sides_mm, tissue_mm) for array in (maps.grey, maps.white))
    fluid = np.clip(1 - grey - white, 0, 1)
    flair = white + contrast.flair["grey"] * grey + contrast.flair["csf"] * fluid
    t1 = white + contrast.t1["grey"] * grey + contrast.t1["csf"] * fluid
    labels = np.zeros(mm.shape[1], dtype=np.int32)
    for number, lesion in enumerate(placed, start=1):
        near = np.flatnonzero(_distance_mm(mm, lesion) < 2 * lesion.radius_mm + 4)
        if lesion.kind == "displaced":
            share = np.sqrt(2) * lesion.radius_mm >= _distance_mm(mm[:, near], lesion)
        else:
            depth = lesion.inside_mm((mm if lesion.kind == "tumour" else tissue_mm)[:, near])
            share = np.clip(0.5 + depth / max(side_mm, _EDGE_MM.get(lesion.kind, 2.0)), 0, 1) * (1 - fluid[near])
            _blend(flair, t1, near, share, depth, lesion, contrast, rng)
        hit = near[(share >= 0.5) & (labels[near] == 0)]
        labels[hit] = number
    return labels, flair, t1


def _blend(
    flair: NDArray[np.float32],
    t1: NDArray[np.float32],
    near: NDArray[np.intp],
    share: NDArray[np.float32],
    depth: NDArray[np.float32],
    lesion: _Placed,
    contrast: _Contrast,
    rng: np.random.Generator,
) -> None:
    """Mix the lesion's signal into both images, in place."""
    if lesion.kind == "isointense":
        levels = contrast.flair["grey"], contrast.t1["grey"]
    else:
        levels = rng.uniform(*_FLAIR[lesion.kind]), rng.uniform(*_T1[lesion.kind])
    in_flair, in_t1 = (np.full_like(share, level) for level in levels)
    if lesion.kind == "tumour":
        core = np.clip(depth / 2 - 0.3 * lesion.radius_mm, 0, 1).astype(np.float32)  # from 0.6 radii below the surface
        rim = np.float32(0.1) * (1 - np.abs(2 * core - 1))
        in_flair = in_flair * (1 - core) + np.float32(rng.uniform(0.75, 1.0)) * core + rim
        in_t1 = in_t1 * (1 - core) + np.float32(0.45) * core
    flair[near] = flair[near] * (1 - share) + in_flair * share
    t1[near] = t1[near] * (1 - share) + in_t1 * share


def _distance_mm(mm: NDArray[np.float32], lesion: _Placed) -> NDArray[np.float32]:
    return np.linalg.norm(mm - lesion.centre_mm[:, None], axis=0).astype(np.float32)


def _pushed(mm: NDArray[np.float32], lesion: _Placed) -> NDArray[np.float32]:
    """Where the tissue at `mm` (3, n) was before the lesion pushed it outwards.

    The push grows linearly up to `farthest_mm` at the lesion's radius r and falls beyond as (r/d)^2, as around a
    source in an incompressible medium; half of it is left at sqrt(2) r.
    """
    farthest_mm = (0.5 if lesion.kind == "displaced" else 0.3) * lesion.radius_mm
    d = np.maximum(_distance_mm(mm, lesion), np.float32(1e-3))
    r = np.float32(lesion.radius_mm)
    push = np.float32(farthest_mm) * np.where(d < r, d / r, (r / d) ** 2)
    return (mm - (mm - lesion.centre_mm[:, None]) * (push / d)).astype(np.float32)


# --- imaging --------------------------------------------------------------------------------------------------------


def _image(
    brain: NDArray[np.bool_],
    signal: NDArray[np.float32],
    head: NDArray[np.int8] | None,
    axes_mm: Sequence[NDArray[np.float64]],
    noise: float,
    bias: float,
    rng: np.random.Generator,
    fat: float,
) -> NDArray[np.float32]:
    """The volume a scanner would store: bias field, Rician noise, whole numbers; zero outside brain (and head)."""
    image = np.zeros(brain.shape, dtype=np.float32)
    image[brain] = signal
    where = brain
    if head is not None:
        image[~brain] = np.array([0, 0.2, 0.08, fat], dtype=np.float32)[head[~brain]]
        where = brain | (head > 0)
    field = np.exp(_spline_field(axes_mm, _spline_coefficients(rng, 70.0, 3 * bias), 70.0))
    values = image[where] * field[where]
    real, imaginary = (np.float32(noise) * rng.standard_normal(values.size, dtype=np.float32) for _ in range(2))
    measured = np.rint(_WHITE * np.hypot(values + real, imaginary))
    image[where] = np.maximum(measured, 1)  # no brain voxel may look like background
    return image


def _head_shells(template_mm: NDArray[np.float32], brain: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Around the brain: 1 fluid, 2 bone, 3 scalp, 0 beyond."""
    landmarks = _landmarks()
    distance = _sample(landmarks.outside_mm, landmarks.origin_mm, (2, 2, 2), template_mm.reshape(3, -1))
    distance = distance.reshape(brain.shape)
    shell = np.digitize(distance, _SHELLS_MM).astype(np.int8) + np.int8(1)
    shell[(shell > 3) | (distance == 0)] = 0  # zero is also what lies beyond the template's grid
    shell[brain] = 1
    return shell


# --- grids ----------------------------------------------------------------------------------------------------------


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
    voxels = np.arange(-pad, -(-_SHAPE[axis] // sides[axis]) + pad, dtype=np.float64)
    return _ORIGIN_MM[axis] + (sides[axis] - 1) / 2 + sides[axis] * voxels


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
        tilt[:3, :3] = _rotation(np.array(OBLIQUE_DEGREES))
        affine, codes = tilt @ affine, "LPS"
    if len(codes) != 3 or any(len(set(codes) & set(pair)) != 1 for pair in ("LR", "PA", "IS")):
        msg = f"Wanted an orientation such as RAS, LAS, LPS or oblique, found {orientation!r}."
        raise InputError(msg)
    to_ras = axcodes2ornt(codes)
    stored_shape = tuple(shape[int(axis)] for axis in to_ras[:, 0])
    stored_affine = affine @ np.linalg.inv(inv_ornt_aff(to_ras, stored_shape))
    return Space(shape, affine, "native", StoredGrid(stored_shape, stored_affine, to_ras))  # type: ignore[arg-type]


def _rotation(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turns about x, then y, then z."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
