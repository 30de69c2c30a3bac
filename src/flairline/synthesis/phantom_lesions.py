"""Lesions of phantoms, as they are drawn: an ellipsoid each, whose surface random waves move in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis.anatomy import CORTEX
from flairline.synthesis.contrast import Contrast
from flairline.synthesis.fields import rotation
from flairline.synthesis.lesion_kinds import KINDS
from flairline.synthesis.lesions import Blob, Core, DrawnLesion, Paint, Part, Push, Waves, Within
from flairline.synthesis.template import landmarks

RADIUS_MM = {
    "periventricular": (4.0, 8.0),
    "punctate": (2.5, 4.5),
    "tumour": (17.0, 23.0),
    "isointense": (6.0, 10.0),
    "dark": (5.0, 9.0),
    "displaced": (12.0, 16.0),
}
# Signal as a multiple of white matter's. Bright lesions of real 3 T FLAIRs have a median of 1.3 to 1.4 and reach 1.6.
FLAIR = {"periventricular": (1.3, 1.55), "punctate": (1.25, 1.5), "tumour": (1.35, 1.6), "dark": (0.35, 0.6)}
ROUGHNESS = {"tumour": 0.5}
EDGE_MM = {"tumour": 5.0}  # over which the signal falls off; never less than a voxel
FARTHEST = {"tumour": 0.3, "displaced": 0.5}
"""How far tissue is pushed away, in radii."""
CORE_T1 = 0.45
WAVES = 6


@dataclass(frozen=True)
class Lesion:
    """A lesion to make: `kind` of `KINDS`; where `centre_mm` or `radius_mm` is None it is drawn at random.

    `centre_mm` is in the template's millimetres (MNI, RAS+), before the deformation, which moves it by some mm.
    """

    kind: str
    centre_mm: tuple[float, float, float] | None = None
    radius_mm: float | None = None


@dataclass(frozen=True, eq=False)
class _Placed:
    """A lesion with its place, size and shape."""

    kind: str
    centre_mm: NDArray[np.float64]
    radius_mm: float
    axes: NDArray[np.float64]  # (3, 3), determinant 1
    waves: NDArray[np.float64]  # (6, 4): wave vector per mm, phase


def draw_lesions(
    wanted: Sequence[Lesion], contrasts: Mapping[str, Contrast], side_mm: float, rng: np.random.Generator
) -> tuple[DrawnLesion, ...]:
    """Lesions in the template's mm; `side_mm` is the longest side of the voxels that they will be seen on."""
    return tuple(_painted(placed, contrasts, side_mm, rng) for placed in _place(wanted, rng))


def _place(lesions: Sequence[Lesion], rng: np.random.Generator) -> list[_Placed]:
    """Draw what is not given; lesions keep apart where there is room."""
    placed: list[_Placed] = []
    for lesion in lesions:
        radius = rng.uniform(*RADIUS_MM[lesion.kind])
        centre = _free_centre(lesion.kind, radius, placed, rng)
        stretch = np.exp(rng.normal(0, 0.2, size=3))
        axes = np.diag(stretch / np.cbrt(stretch.prod())) @ rotation(np.radians(rng.uniform(-90, 90, size=3)))
        directions = rng.normal(size=(WAVES, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        radius = radius if lesion.radius_mm is None else lesion.radius_mm
        lengths = radius * rng.uniform(1.2, 3.0, size=WAVES)
        waves = np.column_stack([directions * (2 * np.pi / lengths)[:, None], rng.uniform(0, 2 * np.pi, size=WAVES)])
        centre = centre if lesion.centre_mm is None else np.array(lesion.centre_mm, dtype=float)
        placed.append(_Placed(lesion.kind, centre, radius, axes, waves))
    return placed


def _free_centre(kind: str, radius: float, placed: list[_Placed], rng: np.random.Generator) -> NDArray[np.float64]:
    """Of 200 candidates the first that keeps 5 mm from all lesions, or else the one with most room."""
    candidates = landmarks().centres_mm[kind]
    candidates = candidates[rng.integers(len(candidates), size=200)] + rng.uniform(-1, 1, size=(200, 3))
    room = np.full(len(candidates), np.inf)
    for other in placed:
        apart = np.linalg.norm(candidates - other.centre_mm, axis=1)
        room = np.minimum(room, apart - 1.3 * (other.radius_mm + radius))
    free = np.flatnonzero(room >= 5)
    return candidates[free[0] if free.size else room.argmax()]


def _painted(
    placed: _Placed, contrasts: Mapping[str, Contrast], side_mm: float, rng: np.random.Generator
) -> DrawnLesion:
    """A lesion with its signal, and what it pushes away."""
    kind, radius_mm = placed.kind, placed.radius_mm
    push = Push(placed.centre_mm, radius_mm, FARTHEST[kind] * radius_mm) if kind in FARTHEST else None
    if kind == "displaced":  # where the push is half as far as at its farthest, or farther
        ball = Blob(placed.centre_mm, np.eye(3), float(np.sqrt(2)) * radius_mm, 0.0, pushed=False)
        return DrawnLesion(kind, (Part(ball, Within("anywhere"), None),), push)
    height_mm = ROUGHNESS.get(kind, 0.22) * radius_mm / float(np.sqrt(WAVES))
    edge_mm = max(side_mm, EDGE_MM.get(kind, 2.0))
    outline = Blob(
        placed.centre_mm, placed.axes, radius_mm, edge_mm, Waves(placed.waves, height_mm), pushed=kind != "tumour"
    )
    t1 = KINDS[kind].t1
    if t1 is None:
        levels = {channel: float(contrast.levels[CORTEX]) for channel, contrast in contrasts.items()}
    else:
        levels = {"flair": float(rng.uniform(*FLAIR[kind])), "t1": float(rng.uniform(*t1))}
    core = None
    if kind == "tumour":
        core = Core(0.6 * radius_mm, {"flair": float(rng.uniform(0.75, 1.0)), "t1": CORE_T1}, {"flair": 0.1})
    return DrawnLesion(kind, (Part(outline, Within("tissue"), Paint(levels, core=core)),), push)
