"""What tissue has what signal, in FLAIR and in T1, as it is drawn. White matter is 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis import anatomy as tissue
from flairline.synthesis.fields import Axes, Field, scaled, smooth

CHANNELS = ("flair", "t1")

FLAIR = {
    tissue.CSF: (0.05, 0.5),
    tissue.VENTRICLE: (0.05, 0.45),
    tissue.CHOROID: (0.4, 2.2),
    tissue.WHITE: (1.0, 1.0),
    tissue.CEREBELLAR_CORTEX: (0.95, 1.35),
    tissue.CEREBELLAR_WHITE: (0.92, 1.12),
    tissue.STEM: (0.92, 1.2),
    tissue.THALAMUS: (0.95, 1.25),
    tissue.CAUDATE: (1.0, 1.4),
    tissue.PUTAMEN: (1.0, 1.35),
    tissue.PALLIDUM: (0.7, 1.1),
    tissue.HIPPOCAMPUS: (1.1, 1.55),
    tissue.VESSEL: (0.2, 1.2),
    tissue.SOFT: (0.2, 1.6),
    tissue.SKULL: (0.05, 0.9),
    tissue.SKIN: (0.3, 2.2),
}
"""Range of each class in units of white matter, far wider than scanners differ. The cortex is drawn apart: `GREY`."""
GREY = {"flair": (0.95, 1.5), "t1": (0.55, 0.85)}
"""Range of the cortex."""
T1 = {
    tissue.CSF: (0.1, 0.4),
    tissue.VENTRICLE: (0.1, 0.4),
    tissue.CHOROID: (0.3, 0.75),
    tissue.WHITE: (1.0, 1.0),
    tissue.CEREBELLAR_CORTEX: (0.6, 0.9),
    tissue.CEREBELLAR_WHITE: (0.9, 1.05),
    tissue.STEM: (0.82, 1.0),
    tissue.THALAMUS: (0.72, 0.92),
    tissue.CAUDATE: (0.6, 0.85),
    tissue.PUTAMEN: (0.65, 0.9),
    tissue.PALLIDUM: (0.8, 1.0),
    tissue.HIPPOCAMPUS: (0.55, 0.8),
    tissue.VESSEL: (0.1, 1.2),
    tissue.SOFT: (0.2, 1.2),
    tissue.SKULL: (0.03, 0.7),
    tissue.SKIN: (0.4, 2.0),
}
"""The same for T1."""

NARROW_FLAIR = {tissue.CSF: (0.12, 0.25), tissue.CORTEX: (1.1, 1.2)}
NARROW_T1 = {tissue.CSF: (0.2, 0.3), tissue.CORTEX: (0.65, 0.75)}
"""Ranges of one usual scanner, for phantoms: fluid and grey matter alone."""
SEPTUM_SHARE = 0.6
"""Share of the scans with a septum pellucidum."""
REMNANTS = (tissue.SOFT, tissue.SKULL, tissue.SKIN)
"""What is not brain, and is left in one by masks."""
BEYOND = (tissue.OUTSIDE, tissue.CSF, *REMNANTS)
"""What lies beyond the brain's surface."""
GREY_CLASSES = (tissue.CEREBELLAR_CORTEX, tissue.CAUDATE, tissue.PUTAMEN, tissue.HIPPOCAMPUS)
"""Grey matter that goes with the cortex."""


@dataclass(frozen=True, eq=False)
class Uneven:
    """Signal of some classes times 1 + strength * field, the field cut to `limits`."""

    classes: tuple[int, ...]
    strength: float
    field: Field
    limits: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Flow:
    """Fluid that is not dark where it flows: strength * field is added where the field is above zero."""

    strength: float
    field: Field


@dataclass(frozen=True, eq=False)
class Glow:
    """Some classes where they lie near others: strength * (nearness * depth * height, cut to 0..1) is added.

    The height is 1 + field / 2, not below 0, or with `patchy` the field itself where it is above 0.
    """

    onto: tuple[int, ...]
    near: tuple[int, ...]
    strength: float
    depth: float
    reach_mm: float
    field: Field
    patchy: bool = False


@dataclass(frozen=True)
class GlowKind:
    """Ranges that a `Glow` is drawn from, and the share of the scans that have it."""

    share: float
    onto: tuple[int, ...]
    near: tuple[int, ...]
    strength: tuple[float, float]
    depth: tuple[float, float]
    reach_mm: tuple[float, float]
    length_mm: float
    patchy: bool = False


GLOWS = (
    # The ventricles' lining, and caps at places of it.
    GlowKind(0.8, (tissue.WHITE,), (tissue.VENTRICLE,), (0.0, 0.45), (0.6, 2.5), (1.0, 3.0), 12),
    GlowKind(0.4, (tissue.WHITE,), (tissue.VENTRICLE,), (0.1, 0.6), (0.8, 2.0), (1.0, 3.0), 20, patchy=True),
    # The rim of pons, medulla and cerebellum.
    GlowKind(0.6, (tissue.STEM, tissue.CEREBELLAR_CORTEX), BEYOND, (0.0, 0.45), (0.6, 2.5), (1.0, 2.5), 15),
    # Cortex at its surface, by places.
    GlowKind(0.4, (tissue.CORTEX, tissue.HIPPOCAMPUS), BEYOND, (0.05, 0.4), (0.8, 2.0), (1.0, 2.5), 20, patchy=True),
    # Dura, sinuses and what lies at the base of the skull, in the fluid beside it.
    GlowKind(0.6, (tissue.CSF,), REMNANTS, (0.2, 1.3), (0.8, 3.0), (0.8, 2.5), 20, patchy=True),
    # Nuclei beside fluid: chiasm, hypothalamus, walls of the third ventricle.
    GlowKind(
        0.4, (tissue.THALAMUS, tissue.CAUDATE, tissue.STEM), (tissue.VENTRICLE,), (0.0, 0.4), (0.6, 2.0), (1.0, 2.5), 12
    ),
)
"""What is bright along a border and normal; seen in scans without lesions and described in text books."""


@dataclass(frozen=True)
class Sheet:
    """The septum between the ventricles: `half_mm` to either side of the plane x = `middle_mm` of the anatomy."""

    middle_mm: float
    half_mm: float
    level: float


@dataclass(frozen=True, eq=False)
class Contrast:
    """Signal of one channel: `levels` by class, and what is bright or dark and normal beside them."""

    levels: NDArray[np.float64]
    """Signal of each of `anatomy.CLASSES`."""
    shells: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Signal of fluid, bone and scalp around a brain that is made of shares."""
    uneven: tuple[Uneven, ...] = ()
    flow: Flow | None = None
    glows: tuple[Glow, ...] = ()
    septum: Sheet | None = None
    wide_plexus: bool = False
    """The plexus is larger than its label and of varying brightness."""
    texture: Field = ()
    """All of it is multiplied by 1 + texture, after the rest."""
    blur_mm: float = 0.0

    @property
    def brightest(self) -> float:
        """The cortex's or white matter's signal, whichever is brighter."""
        return float(max(self.levels[tissue.CORTEX], 1.0))


def draw_levels(rng: np.random.Generator, ranges: Mapping[int, tuple[float, float]]) -> NDArray[np.float64]:
    """A level for each class from its range; white matter is 1, classes without a range 0."""
    levels = np.zeros(len(tissue.CLASSES))
    levels[tissue.WHITE] = 1.0
    for index, (low, high) in ranges.items():
        levels[index] = float(rng.uniform(low, high))
    return levels


def draw_flair(rng: np.random.Generator, of_fields: np.random.Generator, axes: Axes) -> Contrast:
    """Intensities around a FLAIR's contrast.

    What is bright and normal is drawn too, so that a network learns to leave it: plexus, the ventricles' lining and
    caps, grey matter that brightens from place to place, flow in the CSF.
    """
    levels = _goes_with_cortex(draw_levels(rng, FLAIR), GREY["flair"], rng)
    uneven = list(_patches(rng, of_fields, axes))
    if rng.random() < 0.5:  # fat, muscle and marrow are not of one level
        uneven.append(Uneven(REMNANTS, float(rng.uniform(0.1, 0.6)), smooth(of_fields, axes, 6), (-1.5, 2.5)))
    flow = None
    if rng.random() < 0.5:
        length_mm = float(rng.choice((15.0, 15.0, 7.0)))
        flow = Flow(0.7 * float(rng.uniform(0.1, 0.8)), smooth(of_fields, axes, length_mm))
    wide_plexus = bool(rng.random() < 0.6)
    texture = scaled(smooth(of_fields, axes, 3), float(rng.uniform(0, 0.04)))
    return Contrast(
        levels,
        uneven=tuple(uneven),
        flow=flow,
        glows=_glows(rng, of_fields, axes),
        wide_plexus=wide_plexus,
        texture=texture,
        blur_mm=float(rng.uniform(0.35, 0.8)),
    )


def _glows(rng: np.random.Generator, of_fields: np.random.Generator, axes: Axes) -> tuple[Glow, ...]:
    """What is normal and bright along a border, each in a share of the scans: `GLOWS`."""
    drawn = []
    for kind in GLOWS:
        if rng.random() >= kind.share:
            continue
        strength, depth, reach_mm = (
            float(rng.uniform(*limits)) for limits in (kind.strength, kind.depth, kind.reach_mm)
        )
        field = smooth(of_fields, axes, kind.length_mm)
        drawn.append(Glow(kind.onto, kind.near, strength, depth, reach_mm, field, kind.patchy))
    return tuple(drawn)


def draw_septum(rng: np.random.Generator, anatomy: tissue.Anatomy) -> Sheet | None:
    """The septum pellucidum, which label maps do not have: it is a millimetre thin, and bright in FLAIR."""
    assert anatomy.labels is not None
    found = np.flatnonzero(anatomy.labels == tissue.VENTRICLE)
    if rng.random() >= SEPTUM_SHARE or not len(found):
        return None
    x = np.unravel_index(found, anatomy.labels.shape)[0]
    return Sheet(float(np.median(x) + anatomy.origin_mm[0]), float(rng.uniform(0.5, 1.2)), float(rng.uniform(0.9, 1.7)))


def draw_t1(rng: np.random.Generator, axes: Axes) -> Contrast:
    """Intensities around a T1's contrast."""
    levels = _goes_with_cortex(draw_levels(rng, T1), GREY["t1"], rng)
    texture = scaled(smooth(rng, axes, 3), float(rng.uniform(0, 0.04)))
    return Contrast(levels, uneven=_patches(rng, rng, axes), texture=texture, blur_mm=float(rng.uniform(0.35, 0.8)))


def _goes_with_cortex(
    levels: NDArray[np.float64], cortex: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float64]:
    """The levels with a cortex, and with other grey matter half way to it."""
    levels[tissue.CORTEX] = grey = float(rng.uniform(*cortex))
    for index in GREY_CLASSES:
        levels[index] = (levels[index] + grey) / 2 + float(rng.normal(0, 0.03))
    return levels


def _patches(rng: np.random.Generator, of_fields: np.random.Generator, axes: Axes) -> tuple[Uneven, Uneven]:
    """Grey matter that brightens from place to place, and white matter that is not of one level."""
    grey = Uneven(
        (tissue.CORTEX, tissue.HIPPOCAMPUS), float(rng.uniform(0, 0.15)), smooth(of_fields, axes, 25), (-1.0, 2.0)
    )
    wide = scaled(smooth(of_fields, axes, 30), float(rng.uniform(0, 0.06)))
    narrow = scaled(smooth(of_fields, axes, 8), float(rng.uniform(0, 0.04)))
    white = Uneven((tissue.WHITE, tissue.STEM, tissue.CEREBELLAR_WHITE), 1.0, (*wide, *narrow))
    return grey, white
