"""Tumours of training scans: masses, oedema, diffuse growth and rings, of one part or many. The truth is the whole.

What they are made of follows what is seen in FLAIR: oedema that spares grey matter, solid parts as bright as grey
matter or darker, coarse texture and speckle, dead centres, cavities, old blood, a rim, satellites; and what they push.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis import anatomy as tissue
from flairline.synthesis.fields import Field, rough, scaled, smooth
from flairline.synthesis.lesions import Blob, Core, DrawnLesion, Paint, Part, Push, Within
from flairline.synthesis.pencil import HOLLOW_T1, Pencil

VOLUME_ML = (1.0, 250.0)
"""Volume of a tumour's outline, drawn evenly on a logarithmic scale; less of it where it ends at the brain's border."""
GROWTH = {"oedema": 0.35, "mass": 0.22, "diffuse": 0.2, "ring": 0.23}
"""How a tumour grows -> how often it is drawn."""
SEVERAL_SHARE = 0.22
"""Share of the scans with tumours that have several."""
PUSHING_SHARE = 0.7
"""Share of the tumours that push the tissue around them away."""
MOST_PUSH_MM = 14.0
SOLID_T1 = (0.45, 0.85)
"""Signal of a solid part in T1."""
BLOOD_T1 = (0.3, 1.5)
"""Signal of blood in T1: dark when it is fresh or old, bright in between."""
PLACES = (tissue.WHITE, tissue.CORTEX, tissue.THALAMUS, tissue.CEREBELLAR_WHITE, tissue.CAUDATE, tissue.HIPPOCAMPUS)


@dataclass(frozen=True, eq=False)
class _Growth:
    """One tumour that is being drawn: its middle and half-axes."""

    voxel: NDArray[np.int64]
    radii_mm: NDArray[np.floating]

    @property
    def radius_mm(self) -> float:
        """Of the ball of the same volume."""
        return float(np.prod(self.radii_mm) ** (1 / 3))

    def within(self, share: float, pencil: Pencil, off_middle: float = 0.25) -> _Growth:
        """A smaller one in it, so many times as wide, somewhat off its middle."""
        shift = np.rint(pencil.rng.normal(0, off_middle, 3) * (1 - min(share, 1)) * self.radii_mm).astype(np.int64)
        return _Growth(np.clip(self.voxel + shift, 0, pencil.shape - 1), self.radii_mm * share)


def tumour(pencil: Pencil) -> tuple[DrawnLesion, ...]:
    """One tumour or several; all of each is lesion, however dark its parts are."""
    rng = pencil.rng
    several = bool(rng.random() < SEVERAL_SHARE)
    return tuple(_one(pencil, several) for _ in range(int(rng.integers(2, 6)) if several else 1))


def _one(pencil: Pencil, several: bool) -> DrawnLesion:
    rng = pencil.rng
    smallest, largest = VOLUME_ML
    volume_ml = float(np.exp(rng.uniform(np.log(smallest), np.log(largest / 8 if several else largest))))
    shape = rng.uniform(0.7, 1.3, 3)
    radii_mm = (3000 * volume_ml / (4 * np.pi)) ** (1 / 3) * shape / np.prod(shape) ** (1 / 3)
    growth = _Growth(pencil.places(PLACES, 1)[0], radii_mm)
    how = tuple(GROWTH)[int(rng.choice(len(GROWTH), p=tuple(GROWTH.values())))]
    parts = _GROWN_BY[how](pencil, growth)
    if rng.random() < 0.2:
        parts += _satellites(pencil, growth)
    return DrawnLesion("tumour", tuple(parts), _push(pencil, growth))


def _oedema(pencil: Pencil, growth: _Growth) -> list[Part]:
    """White matter that is bright around a core, often a small one."""
    rng = pencil.rng
    parts = [_swollen(pencil, growth, pencil.brightness(1.15, 2.1), float(rng.uniform(0.1, 1.0)))]
    if rng.random() < 0.8:
        parts += _solid(pencil, growth.within(float(rng.uniform(0.25, 0.85)), pencil))
    return parts


def _mass(pencil: Pencil, growth: _Growth) -> list[Part]:
    """Solid tumour with little around it or nothing."""
    rng = pencil.rng
    parts = []
    if rng.random() < 0.5:
        around = growth.within(float(rng.uniform(1.1, 1.5)), pencil)
        parts.append(_swollen(pencil, around, pencil.brightness(1.15, 1.9), float(rng.uniform(0.1, 0.8))))
    return parts + _solid(pencil, growth)


def _diffuse(pencil: Pencil, growth: _Growth) -> list[Part]:
    """Cortex and white matter a little brighter than they were, with no border that could be named."""
    rng = pencil.rng
    least = float(rng.uniform(1.05, 1.2))
    blob = _blob(pencil, growth, (0.25, 0.6), (2.0, 8.0))
    level = max(least, float(rng.uniform(1.08, 1.5)) * (1 + (pencil.site.brightest - 1) * float(rng.uniform())))
    texture = pencil.texture(blob, 0.2, (6, 20))
    paint = Paint({"flair": level, "t1": pencil.in_t1((0.65, 0.9))}, least, texture)
    parts = [Part(blob, Within("oedema", float(rng.uniform(0.6, 1.0))), paint)]
    if rng.random() < 0.35:
        parts += _solid(pencil, growth.within(float(rng.uniform(0.2, 0.5)), pencil))
    return parts


def _ring(pencil: Pencil, growth: _Growth) -> list[Part]:
    """A rim around what is dark or grey, in oedema mostly."""
    rng = pencil.rng
    level = pencil.brightness(1.1, 2.0)
    parts, inner = [], growth
    if rng.random() < 0.75:
        parts.append(_swollen(pencil, growth, level, float(rng.uniform(0.1, 1.0))))
        inner = growth.within(float(rng.uniform(0.35, 0.8)), pencil)
    blob = _blob(pencil, inner, (0.1, 0.35), (0.7, 2.5))
    wall_mm = float(np.clip(rng.uniform(0.1, 0.45) * inner.radius_mm, 1.0, 8.0))
    core = Core(
        wall_mm,
        {"flair": float(rng.uniform(0.2, 1.3)), "t1": pencil.in_t1(HOLLOW_T1)},
        {"flair": float(rng.uniform(0, 0.5))},
    )
    wall = {"flair": float(rng.uniform(0.8, 1.1)) * level, "t1": pencil.in_t1(SOLID_T1)}
    parts.append(Part(blob, Within("brain"), Paint(wall, texture=_mixed(pencil, blob), core=core)))
    return parts + (_blood(pencil, inner) if rng.random() < 0.3 else [])


def _solid(pencil: Pencil, growth: _Growth) -> list[Part]:
    """Solid tumour, brighter than grey matter or darker; it displaces whatever was there."""
    rng = pencil.rng
    blob = _blob(pencil, growth, (0.1, 0.4), (0.8, 4.0))
    level = float(rng.uniform(0.6, 1.15)) * float(rng.uniform(1.0, max(1.05, 1.15 * pencil.site.brightest)))
    if rng.random() < 0.4:
        level = pencil.brightness(1.1, 1.9)
    paint = Paint({"flair": level, "t1": pencil.in_t1(SOLID_T1)}, texture=_mixed(pencil, blob))
    parts = [Part(blob, Within("brain"), paint)]
    if rng.random() < 0.55:  # a dead centre or a cavity
        inner = growth.within(float(rng.uniform(0.3, 0.9)), pencil)
        parts.append(
            pencil.hollow(_blob(pencil, inner, (0.2, 0.4), (0.8, 4.0)), float(rng.uniform(0.15, 1.1)), "lesion")
        )
    return parts + (_blood(pencil, growth) if rng.random() < 0.3 else [])


def _blood(pencil: Pencil, growth: _Growth) -> list[Part]:
    """Patches of blood in a tumour, dark mostly."""
    rng = pencil.rng
    parts = []
    for _ in range(int(rng.integers(1, 4))):
        patch = growth.within(float(rng.uniform(0.1, 0.4)), pencil, off_middle=0.5)
        level = float(rng.uniform(0.1, 0.6) if rng.random() < 0.65 else rng.uniform(1.2, 2.2))
        paint = Paint({"flair": level, "t1": pencil.in_t1(BLOOD_T1)})
        parts.append(Part(_blob(pencil, patch, (0.2, 0.5), (0.7, 2.0)), Within("lesion"), paint))
    return parts


def _satellites(pencil: Pencil, growth: _Growth) -> list[Part]:
    """Small foci beside a tumour."""
    rng = pencil.rng
    parts = []
    for _ in range(int(rng.integers(1, 5))):
        way = rng.normal(size=3)
        off = np.rint(way / max(float(np.linalg.norm(way)), 1e-6) * growth.radii_mm * rng.uniform(0.9, 1.6))
        middle = np.clip(growth.voxel + off.astype(np.int64), 0, pencil.shape - 1)
        focus = _Growth(middle, float(rng.uniform(1.5, max(2.0, 0.3 * growth.radius_mm))) * rng.uniform(0.7, 1.3, 3))
        blob = _blob(pencil, focus, (0.1, 0.3), (0.8, 2.0))
        parts.append(pencil.spot("tumour", blob, pencil.brightness(1.1, 2.0)))
    return parts


def _swollen(pencil: Pencil, growth: _Growth, level: float, grey_share: float) -> Part:
    """Oedema: bright, in white matter first."""
    blob = _blob(pencil, growth, (0.15, 0.5), (1.5, 7.0))
    texture = pencil.texture(blob, 0.15, (6, 20))
    if pencil.rng.random() < 0.3:
        texture = (*texture, *pencil.texture(blob, 0.12, (2, 4)))
    return Part(blob, Within("oedema", grey_share), pencil.bright("tumour", level, texture))


def _mixed(pencil: Pencil, blob: Blob) -> Field:
    """Coarse parts of a mass, and speckle."""
    rng = pencil.rng
    assert blob.box is not None
    axes = pencil.axes_of(blob.box)
    coarse = scaled(rough(pencil.of_fields, axes, max(4.0, 0.6 * blob.radius_mm)), float(rng.uniform(0.0, 0.3)))
    if rng.random() < 0.5:
        return coarse
    fine = smooth(pencil.of_fields, axes, float(rng.uniform(1.5, 4.0)))
    return (*coarse, *scaled(fine, float(rng.uniform(0.05, 0.3))))


def _blob(pencil: Pencil, growth: _Growth, roughness: tuple[float, float], edge_mm: tuple[float, float]) -> Blob:
    """Its outline; the edge is no wider than the radius."""
    softest = min(float(pencil.rng.uniform(*edge_mm)), growth.radius_mm)
    return pencil.blob(growth.voxel, growth.radii_mm, float(pencil.rng.uniform(*roughness)), softest)


def _push(pencil: Pencil, growth: _Growth) -> Push | None:
    """What it pushes away, by up to a third of its radius, in the scan's mm."""
    rng = pencil.rng
    if rng.random() >= PUSHING_SHARE:
        return None
    centre_mm = np.array([axis[i] for axis, i in zip(pencil.site.axes_mm, growth.voxel, strict=True)])
    radius_mm = growth.radius_mm * float(rng.uniform(0.8, 1.2))
    return Push(centre_mm, radius_mm, min(MOST_PUSH_MM, float(rng.uniform(0.1, 0.5)) * radius_mm))


_GROWN_BY = {"oedema": _oedema, "mass": _mass, "diffuse": _diffuse, "ring": _ring}
