"""The one vocabulary of lesions: kinds, and the diseases that are made of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What a kind of lesion is, and its range of signal in T1 (white matter is 1); None: that of normal tissue."""

    meaning: str
    t1: tuple[float, float] | None


KINDS = {
    "periventricular": Kind("bright, at the wall of the ventricles, as in multiple sclerosis", (0.65, 0.75)),
    "punctate": Kind("bright and small, in the deep white matter", (0.7, 0.8)),
    "tumour": Kind("large, bright oedema around a core that is not, pushes the tissue around it away", (0.6, 0.7)),
    "isointense": Kind("as bright as grey matter, in white matter", None),
    "dark": Kind("darker than any tissue, brighter than fluid, as an old infarct", (0.35, 0.45)),
    "displaced": Kind("tissue of its usual brightness in an unusual place: pushed away from a point", None),
    "juxtacortical": Kind("bright, at the border of cortex and white matter", (0.65, 0.8)),
    "infratentorial": Kind("bright, in brain stem or cerebellum", (0.65, 0.8)),
    "cortical": Kind("bright, in cortex or deep grey matter", (0.5, 0.65)),
    "confluent": Kind("bright caps and bands around the ventricles that flow together", (0.65, 0.85)),
    "infarct": Kind("bright, swollen territory of cortex and white matter, or small and deep", (0.5, 0.75)),
    "drawn": Kind("bright, in the shape that a rater drew in another patient", (0.6, 0.8)),
}
"""Kind of lesion -> what it is. Phantoms have the first six, training scans the bright ones."""

PHANTOM_KINDS = ("periventricular", "punctate", "tumour", "isointense", "dark", "displaced")

DISEASES = {
    "multiple sclerosis": 0.36,
    "small vessel": 0.15,
    "tumour": 0.37,
    "infarct": 0.12,
}
"""Disease of a training scan -> how often it is drawn. What it consists of: `diseases`."""

DRAWN_INSTEAD = ("multiple sclerosis", "infarct")
"""Where shapes of other patients are given, they stand for these diseases."""
