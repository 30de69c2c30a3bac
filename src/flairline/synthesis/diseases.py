"""Diseases of training scans, as they are drawn: which lesions, their places, shapes and brightness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis import anatomy as tissue
from flairline.synthesis.fields import rough, scaled, smooth
from flairline.synthesis.lesion_kinds import DISEASES, DRAWN_INSTEAD
from flairline.synthesis.lesions import Band, Drawing, DrawnLesion, Part, Within
from flairline.synthesis.pencil import Pencil, Site
from flairline.synthesis.tumours import tumour


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


def infarct(pencil: Pencil) -> tuple[DrawnLesion, ...]:
    """A territory of cortex and white matter, swollen and bright, or small and deep."""
    rng = pencil.rng
    level = pencil.brightness(1.1, 1.8)
    lesions = []
    classes = (tissue.CORTEX, tissue.WHITE, tissue.THALAMUS, tissue.STEM)
    for voxel in pencil.places(classes, int(rng.integers(1, 5))):
        radii_mm = float(rng.choice([rng.uniform(3, 8), rng.uniform(8, 28)])) * rng.uniform(0.6, 1.5, 3)
        blob = pencil.blob(voxel, radii_mm, float(rng.uniform(0.15, 0.45)), float(rng.uniform(1, 4)))
        part = pencil.spot("infarct", blob, level, pencil.texture(blob, 0.12, (8, 8)))
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


_DRAWN_BY = {
    "multiple sclerosis": multiple_sclerosis,
    "small vessel": small_vessel,
    "tumour": tumour,
    "infarct": infarct,
}
