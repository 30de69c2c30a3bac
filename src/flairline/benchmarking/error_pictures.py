"""Pictures of the worst places of the worst scans: what was marked falsely and missed there, beside the FLAIR."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flairline.benchmarking.errors import CohortErrors, ScanErrors, all_slices, judged_masks, whole_scan
from flairline.benchmarking.judge import Result
from flairline.benchmarking.store import StoredScore
from flairline.drawing.places import Place, write_places
from flairline.evaluation.errors import BORDER, FAR, INSIDE, ISLAND, MISSED
from flairline.types import Mask

WORST_SCANS, WORST_PLACES = 5, 6
"""So many scans of each source and data set are drawn, the lowest Dice first, at so many places each."""
WRONG = {ISLAND: "false island", FAR: "false, far", BORDER: "false border", MISSED: "missed", INSIDE: "missing inside"}
"""Kinds of errors, and what a picture calls them."""


def draw(folder: Path, cohorts: Sequence[CohortErrors], results: Sequence[Result]) -> list[Path]:
    """Write FOLDER/METHOD/DATASET-SCAN-PROTOCOL.png of the worst scans of each cohort, at their largest errors.

    A scan whose FLAIR is not known on the grid of its score has no picture.

    Parameters
    ----------
    results
        Those that the cohorts were made of, while their scores are still stored.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    stored = {
        (result.method, result.protocol.name, scan.case.key): (scan, result.counts[dataset, result.method])
        for result in results
        for (dataset, _), scans in result.stored.items()
        for scan in scans
    }
    written = []
    for cohort in cohorts:
        for scan in worst_scans(cohort):
            kept, counts = stored[cohort.source.name, cohort.protocol.name, scan.case.key]
            name = f"{cohort.dataset}-{scan.case.label}-{cohort.protocol.name}.png"
            path = folder / _file_name(cohort.source.name) / _file_name(name)
            if _draw(path, cohort, scan, kept, counts.oracle().threshold):
                written.append(path)
    return written


def worst_scans(cohort: CohortErrors) -> list[ScanErrors]:
    """The scans with errors, the lowest Dice first; those without a lesion, which have no Dice, before all."""
    wrong = [scan for scan in cohort.scans if any(piece.kind in WRONG for piece in scan.pieces)]
    dice = [scan.figures["dice"] for scan in wrong]
    order = np.argsort(np.where(np.isnan(dice), -1, dice), kind="stable")
    return [wrong[place] for place in order[:WORST_SCANS]]


def worst_places(scan: ScanErrors) -> list[Place]:
    """The largest errors of a scan, with what they are, how large and where."""
    wrong = sorted((piece for piece in scan.pieces if piece.kind in WRONG), key=lambda piece: -piece.ml)
    return [
        Place(piece.voxel, f"{WRONG[piece.kind]} {piece.ml:.2g} ml\n{piece.region}") for piece in wrong[:WORST_PLACES]
    ]


def _draw(path: Path, cohort: CohortErrors, errors: ScanErrors, stored: StoredScore, oracle: float) -> bool:
    """Draw one scan; whether it could be drawn."""
    loaded, protocol = stored.load(), cohort.protocol
    scan = whole_scan(stored, loaded.brain, cohort.source, protocol)
    if scan is None:
        return False
    first = 0 if protocol.slices is None else protocol.slices[0]
    mask, truth = (
        Mask(all_slices(array, scan.space.shape, protocol), scan.space)
        for array in judged_masks(loaded, protocol, oracle)
    )
    places = [Place((x, y, z + first), place.words) for place in worst_places(errors) for x, y, z in [place.voxel]]
    title = f"{cohort.source.name}, {errors.case.key}: Dice {errors.figures['dice']:.3f}"
    write_places(path, scan, mask, truth, places, title)
    return True


def _file_name(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in text)
