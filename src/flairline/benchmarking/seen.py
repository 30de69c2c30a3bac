"""Which cases show a patient that a recipe's model was trained on: no model is judged on those."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from flairline.io.files import sha256
from flairline.learning.data import voxels_sha256
from flairline.recipes import Recipe
from flairline.types import Case


def seen_cases(recipe: Recipe, cases: Sequence[Case]) -> list[str]:
    """Keys of cases whose patient the recipe's model was trained or validated on.

    A patient is known again by data set and subject, by the FLAIR's file, or by the voxels in it.

    Raises
    ------
    ModelError
        The model folder is broken.
    """
    known = {(scan.dataset, scan.subject) for scan in recipe.sources() if scan.dataset}
    hashes = {content for scan in recipe.sources() for content in (scan.sha256, scan.voxels_sha256)}
    if not known and not hashes:
        return []
    return [
        case.key
        for case in cases
        if (case.dataset, case.subject) in known or (case.flair is not None and _content(case.flair) & hashes)
    ]


@lru_cache(maxsize=4096)
def _content(flair: Path) -> frozenset[str]:
    try:
        return frozenset({sha256(flair), voxels_sha256(flair)})
    except Exception:  # what cannot be read shows nobody; the scan fails when it is judged, with the reason
        return frozenset()
