"""How far a mask of the same head differs when the head is measured again: what `bench.stability` measured.

_data/stability.csv is what ``python -m bench.stability --csv FILE`` writes (docs/results/stability.md shows the same
rows): two raw pairs and two stripped scans, each moved, made noisier, under another coil's field, or with other
voxels. A row is a pair of masks of one head, so it says directly how large a difference means nothing. None of these
pairs is a second scan of a patient: what a real scanner, another day and another posture add, is not in it.

The rows were measured on 2026-11-26, with the code of commit 639005a; where `lesions` is not 0, lesions
were followed one by one as well. After a change of what is found, run the command again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flairline.imaging.changes import Spread
from flairline.io.tables import read_records

MEASURED = Path(__file__).with_name("_data") / "stability.csv"
ALIKE = ("rigid", "noise", "bias")
"""Kinds of changes that lie between two visits to one scanner."""
OTHER_VOXELS = (*ALIKE, "voxels")
"""And between visits whose voxels differ."""
MOST_SIDES_APART = 3.0
"""Voxels were changed by up to so many times."""
FEWEST_LESIONS = 10
"""A pair with fewer lesions does not say what 95 of 100 do."""


@dataclass(frozen=True)
class Pair:
    """One head, measured twice; columns as of the file.

    Attributes
    ----------
    unchanged_ml, ml
        Volume of all that was marked, before and after the change.
    dice, kept
        Overlap of the two masks, and of the first with itself taken there and back.
    lesions, lesion_spread
        Number of lesions, and `Spread.of_lesion` that holds for 95 of 100 of them; 0 and NaN where lesions were not
        followed one by one.
    """

    recipe: str
    scan: str
    change: str
    kind: str
    unchanged_ml: float
    ml: float
    dice: float
    kept: float
    lesions: int
    lesion_spread: float


@dataclass(frozen=True)
class Stability:
    """What is known of a recipe.

    Attributes
    ----------
    spread
        The largest of all pairs; NaN where the recipe was not measured.
    words
        Where it comes from, for people.
    """

    spread: Spread
    words: str


@lru_cache(maxsize=1)
def pairs() -> tuple[Pair, ...]:
    """All rows of the file."""
    return tuple(read_records(MEASURED, Pair))


def stability_of(recipe: str, *, other_voxels: bool) -> Stability:
    """What a recipe's masks of the same head differ by.

    Parameters
    ----------
    other_voxels
        Whether the two visits' voxels differ.
    """
    kinds = OTHER_VOXELS if other_voxels else ALIKE
    known = [pair for pair in pairs() if pair.recipe == recipe and pair.kind in kinds]
    if not known:
        words = (
            f"Nobody has measured how stable the recipe {recipe} is, so every difference counts as a change here;"
            " part of it is noise."
        )
        return Stability(Spread(), words)
    of_all = max(2 * abs(pair.ml - pair.unchanged_ml) / (pair.ml + pair.unchanged_ml) for pair in known)
    of_lesions = [pair for pair in known if pair.lesions >= FEWEST_LESIONS]
    of_lesion = max((pair.lesion_spread for pair in of_lesions), default=float("nan"))
    heads, heads_of_lesions = (len({pair.scan for pair in some}) for some in (known, of_lesions))
    otherwise = ", with other voxels" if other_voxels else ""
    words = (
        f"Measured on {len(known)} pairs of masks of the same heads ({heads} of them; bench/stability): moved, made"
        f" noisier, under another coil's field{otherwise}. No pair's volume differed by more than that share. Of single"
        f" lesions, 95 of 100 differed by less than their smallest change, in {len(of_lesions)} pairs of"
        f" {heads_of_lesions} of the heads. A second scan of a patient was not measured: take it as the least that"
        " noise can do."
    )
    return Stability(Spread(of_lesion, of_all), words)
