"""Diseases of training scans, as they are drawn: which lesions, their places, shapes and brightness.

Everything is drawn from `Site`, a look at the brain at every second voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis import anatomy as tissue
from flairline.synthesis.fields import Axes, Field, Lattice, rotation, rough, scaled, smooth
from flairline.synthesis.lesion_kinds import DISEASES, DRAWN_INSTEAD, KINDS
from flairline.synthesis.lesions import Band, Blob, Drawing, DrawnLesion, Paint, Part, Within

HOLLOW_T1 = (0.2, 0.5)
"""Signal of holes and dead centres in T1; fluid mostly."""
SOLID_T1 = (0.45, 0.75)
"""Signal of a tumour's solid core in T1."""


@dataclass(frozen=True, eq=False)
class Site:
    """The brain that lesions are drawn for, on the scan's grid of 1 mm."""

    axes_mm: Axes
    labels: NDArray[np.uint8]
    """Classes of every second voxel."""
    ventricle_mm: NDArray[np.float32]
    """Distance of every second voxel from the ventricles."""
    brightest: float
    """Signal of the brightest normal tissue in FLAIR."""

    @property
    def from_ventricle_mm(self) -> Field:
        """The distance as a field."""
        x, y, z = (float(axis[0]) for axis in self.axes_mm)
        return (Lattice(self.ventricle_mm, (x, y, z), (2.0, 2.0, 2.0), 1),)


def draw_disease(
    site: Site,
    rng: np.random.Generator,
    of_fields: np.random.Generator,
    of_t1: np.random.Generator,
    shapes: Sequence[NDArray[np.bool_]] | None,
) -> tuple[DrawnLesion, ...]:
    """The lesions of one disease of `DISEASES`, or a shape of another patient's."""
    pencil = Pencil(site, rng, of_fields, of_t1)
    disease = tuple(DISEASES)[int(rng.choice(len(DISEASES), p=tuple(DISEASES.values())))]
    if shapes and disease in DRAWN_INSTEAD:
        return drawn_shape(pencil, shapes)
    return _DRAWN_BY[disease](pencil)


class Pencil:
    """Draws the parts of lesions: places, outlines, brightness."""

    def __init__(
        self, site: Site, rng: np.random.Generator, of_fields: np.random.Generator, of_t1: np.random.Generator
    ) -> None:
        self.site, self.rng, self.of_fields, self._of_t1 = site, rng, of_fields, of_t1
        self.shape = np.array([len(axis) for axis in site.axes_mm])
        self.least = float(rng.uniform(1.1, 1.35))

    def places(self, classes: Sequence[int], count: int, near_ventricle_mm: float | None = None) -> NDArray[np.int64]:
        """Random voxels of some classes (count, 3); a falling-off length crowds them towards the ventricles."""
        voxels = np.argwhere(np.isin(self.site.labels, classes))
        if len(voxels) == 0 or count == 0:
            return np.zeros((0, 3), dtype=np.int64)
        weights = None
        if near_ventricle_mm is not None:
            weights = np.exp(-self.site.ventricle_mm[tuple(voxels.T)].astype(float) / near_ventricle_mm) + 1e-9
            weights = weights / weights.sum()
        return voxels[self.rng.choice(len(voxels), count, p=weights)] * 2

    def blob(self, voxel: NDArray[np.int64], radii_mm: NDArray[np.floating], roughness: float, edge_mm: float) -> Blob:
        """A rotated ellipsoid with a rough outline."""
        reach = int(np.ceil(max(radii_mm) * (1.1 + roughness))) + 3
        low, high = np.maximum(voxel - reach, 0), np.minimum(voxel + reach + 1, self.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        mean_mm = float(np.mean(radii_mm))
        axes = mean_mm * np.diag(1 / radii_mm) @ rotation(self.rng.uniform(-np.pi, np.pi, 3))
        outline = scaled(rough(self.of_fields, self.axes_of(box), max(2.0, 0.8 * mean_mm)), roughness * mean_mm)
        centre_mm = np.array([axis[i] for axis, i in zip(self.site.axes_mm, voxel, strict=True)])
        return Blob(centre_mm, axes, mean_mm, edge_mm, box=box, roughness_mm=outline)

    def axes_of(self, box: tuple[slice, ...]) -> Axes:
        """The axes of a box of the grid."""
        x, y, z = (axis[part] for axis, part in zip(self.site.axes_mm, box, strict=True))
        return x, y, z

    def brightness(self, low: float = 1.1, high: float = 2.0) -> float:
        """Signal of a bright lesion, at least `low`; white matter is 1.

        It is a level times a factor. The level is drawn evenly from white matter's to the brightest tissue's, so a
        lesion of white matter may be darker than cortex. The factor lies from `low` - 0.15 to `high`, around a third
        of the way mostly.
        """
        level = 1 + (self.site.brightest - 1) * float(self.rng.uniform())
        return max(low, level * (low - 0.15 + (high - low + 0.15) * float(self.rng.beta(1.5, 2.0))))

    def bright(self, kind: str, level: float, texture: Field | None = None) -> Paint:
        """Paint that is brighter than what is there (darker in T1)."""
        t1 = KINDS[kind].t1
        assert t1 is not None
        return Paint({"flair": level, "t1": self.in_t1(t1)}, self.least, texture)

    def in_t1(self, limits: tuple[float, float]) -> float:
        """A level in T1; it is drawn apart, so that a scan's FLAIR does not depend on whether it has a T1."""
        return float(self._of_t1.uniform(*limits))

    def spot(self, kind: str, blob: Blob, level: float, texture: Field | None = None) -> Part:
        """A bright blob in tissue."""
        return Part(blob, Within("tissue"), self.bright(kind, level, texture))

    def hollow(self, blob: Blob, level: float, region: str = "anywhere") -> Part:
        """A blob that hides whatever was there."""
        return Part(blob, Within(region), Paint({"flair": level, "t1": self.in_t1(HOLLOW_T1)}))


def multiple_sclerosis(pencil: Pencil) -> tuple[DrawnLesion, ...]:
    """Few to many lesions of 3-15 mm: periventricular, deep, juxtacortical, infratentorial, cortical; some hollow."""
    rng = pencil.rng
    count = int(np.clip(rng.lognormal(2.6, 0.9), 1, 70))
    counts = rng.multinomial(count, rng.dirichlet((3, 1.5, 1.2, 0.5, 0.3)))
    stem = (tissue.STEM, tissue.CEREBELLAR_WHITE, tissue.CEREBELLAR_CORTEX)
    places = {
        "periventricular": pencil.places((tissue.WHITE,), counts[0], near_ventricle_mm=3.0),
        "punctate": pencil.places((tissue.WHITE,), counts[1]),
        "juxtacortical": pencil.places((tissue.WHITE, tissue.CORTEX), counts[2]),
        "infratentorial": pencil.places(stem, counts[3]),
        "cortical": pencil.places((tissue.CORTEX, tissue.THALAMUS, tissue.HIPPOCAMPUS), counts[4]),
    }
    level, spread = pencil.brightness(), float(rng.uniform(0, 0.12))
    size_mm, edge_mm = float(rng.uniform(1.4, 3.2)), float(rng.uniform(0.7, 3.0))
    lesions = []
    for kind, voxel in ((kind, voxel) for kind, voxels in places.items() for voxel in voxels):
        radius_mm = float(np.clip(rng.lognormal(np.log(size_mm), 0.45), 1.2, 9))
        radii_mm = radius_mm * rng.uniform(0.6, 1.5, 3)
        blob = pencil.blob(voxel, radii_mm, float(rng.uniform(0.05, 0.35)), min(edge_mm, radius_mm))
        parts = [pencil.spot(kind, blob, max(level * (1 + spread * float(rng.normal())), 1.1))]
        if radius_mm > 3.5 and rng.random() < 0.15:
            hole = pencil.blob(voxel, radii_mm * rng.uniform(0.3, 0.55), 0.2, 1.5)
            parts.append(pencil.hollow(hole, float(rng.uniform(0.3, 1.0))))
        lesions.append(DrawnLesion(kind, tuple(parts)))
    if rng.random() < 0.35:
        lesions.append(_confluent(pencil, level, float(rng.uniform(1.5, 5))))
    return tuple(lesions)


def small_vessel(pencil: Pencil) -> tuple[DrawnLesion, ...]:
    """Caps and bands around the ventricles that may flow together, and spots in the deep white matter."""
    rng = pencil.rng
    level = pencil.brightness(1.1, 1.8)
    lesions = [_confluent(pencil, level, float(rng.uniform(2, 11)))]
    for voxel in pencil.places((tissue.WHITE,), int(rng.integers(0, 40))):
        radii_mm = float(rng.uniform(1.2, 4.5)) * rng.uniform(0.6, 1.4, 3)
        blob = pencil.blob(voxel, radii_mm, float(rng.uniform(0.1, 0.4)), float(rng.uniform(1, 3)))
        part = pencil.spot("punctate", blob, level * float(rng.uniform(0.92, 1.05)))
        lesions.append(DrawnLesion("punctate", (part,)))
    return tuple(lesions)


def _confluent(pencil: Pencil, level: float, depth_mm: float) -> DrawnLesion:
    """White matter up to about `depth_mm` from the ventricles, by places deeper and by places not at all."""
    rng = pencil.rng
    wave = rough(pencil.of_fields, pencil.site.axes_mm, float(rng.uniform(12, 30)))
    edge_mm = float(rng.uniform(1, 3.5))
    wave_mm = scaled(wave, depth_mm * float(rng.uniform(0.3, 0.9)))
    band = Band(pencil.site.from_ventricle_mm, 0.7 * depth_mm, wave_mm, edge_mm)
    return DrawnLesion("confluent", (Part(band, Within("white"), pencil.bright("confluent", level)),))


def tumour(pencil: Pencil) -> tuple[DrawnLesion, ...]:
    """Oedema that fills white matter around a core that may be bright, mixed or dark; all of it is lesion."""
    rng = pencil.rng
    lesions = []
    for _ in range(1 if rng.random() < 0.8 else int(rng.integers(2, 5))):
        classes = (tissue.WHITE, tissue.CORTEX, tissue.THALAMUS, tissue.CEREBELLAR_WHITE)
        voxel = pencil.places(classes, 1)[0]
        radii_mm = float(rng.uniform(8, 34)) * rng.uniform(0.7, 1.3, 3)
        level = pencil.brightness(1.15, 2.1)
        blob = pencil.blob(voxel, radii_mm, float(rng.uniform(0.15, 0.5)), float(rng.uniform(1.5, 7)))
        within = Within("oedema", float(rng.uniform(0.1, 1.0)))
        texture = _texture(pencil, blob, 0.15, (6, 20))
        parts = [Part(blob, within, pencil.bright("tumour", level, texture))]
        if rng.random() < 0.8:
            parts += _core(pencil, voxel, radii_mm * float(rng.uniform(0.3, 0.85)), level)
        lesions.append(DrawnLesion("tumour", tuple(parts)))
    return tuple(lesions)


def _core(pencil: Pencil, voxel: NDArray[np.int64], radii_mm: NDArray[np.floating], level: float) -> list[Part]:
    """Solid tumour of mixed brightness, often with a dark centre; it displaces whatever was there."""
    rng = pencil.rng
    shift = np.rint(rng.normal(0, 0.25, 3) * radii_mm).astype(np.int64)
    voxel = np.clip(voxel + shift, 0, pencil.shape - 1)
    blob = pencil.blob(voxel, radii_mm, float(rng.uniform(0.1, 0.35)), float(rng.uniform(1, 4)))
    solid = level * float(rng.uniform(0.55, 1.15))
    strength = float(rng.uniform(0.0, 0.3))
    assert blob.box is not None
    mix = scaled(rough(pencil.of_fields, pencil.axes_of(blob.box), float(np.mean(radii_mm)) * 0.6), strength)
    paint = Paint({"flair": solid, "t1": pencil.in_t1(SOLID_T1)}, texture=mix)
    parts = [Part(blob, Within("brain"), paint)]
    if rng.random() < 0.7:
        centre = pencil.blob(voxel, radii_mm * rng.uniform(0.3, 0.95), 0.3, float(rng.uniform(1, 4)))
        parts.append(pencil.hollow(centre, float(rng.uniform(0.15, 1.1)), "lesion"))
    return parts


def infarct(pencil: Pencil) -> tuple[DrawnLesion, ...]:
    """A territory of cortex and white matter, swollen and bright, or small and deep."""
    rng = pencil.rng
    level = pencil.brightness(1.1, 1.8)
    lesions = []
    classes = (tissue.CORTEX, tissue.WHITE, tissue.THALAMUS, tissue.STEM)
    for voxel in pencil.places(classes, int(rng.integers(1, 5))):
        radii_mm = float(rng.choice([rng.uniform(3, 8), rng.uniform(8, 28)])) * rng.uniform(0.6, 1.5, 3)
        blob = pencil.blob(voxel, radii_mm, float(rng.uniform(0.15, 0.45)), float(rng.uniform(1, 4)))
        part = pencil.spot("infarct", blob, level, _texture(pencil, blob, 0.12, (8, 8)))
        lesions.append(DrawnLesion("infarct", (part,)))
    return tuple(lesions)


def drawn_shape(pencil: Pencil, shapes: Sequence[NDArray[np.bool_]]) -> tuple[DrawnLesion, ...]:
    """A rater's drawing of another patient, scaled onto this brain's box, deformed and softened."""
    rng, axes_mm = pencil.rng, pencil.site.axes_mm
    shape = shapes[int(rng.integers(len(shapes)))]
    if rng.random() < 0.5:
        shape = shape[::-1]
    x, y, z = (scaled(smooth(pencil.of_fields, axes_mm, 30), 0.04) for _ in range(3))
    drawing = Drawing(np.ascontiguousarray(shape), (x, y, z), float(rng.uniform(0.4, 1.0)))
    texture = scaled(smooth(pencil.of_fields, axes_mm, 10), float(rng.uniform(0, 0.12)))
    paint = pencil.bright("drawn", pencil.brightness(), texture)
    return (DrawnLesion("drawn", (Part(drawing, Within("tissue"), paint),)),)


def _texture(pencil: Pencil, blob: Blob, most: float, length_mm: tuple[float, float]) -> Field:
    """Brightness that varies over a blob, by up to `most` (standard deviation)."""
    assert blob.box is not None
    strength = float(pencil.rng.uniform(0, most))
    return scaled(smooth(pencil.of_fields, pencil.axes_of(blob.box), float(pencil.rng.uniform(*length_mm))), strength)


_DRAWN_BY = {
    "multiple sclerosis": multiple_sclerosis,
    "small vessel": small_vessel,
    "tumour": tumour,
    "infarct": infarct,
}
