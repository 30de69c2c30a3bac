"""What each rule of a recipe's mask is worth: one left out after the other, on scores that are stored already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flairline.benchmarking.errors import judged_masks
from flairline.benchmarking.judge import Result
from flairline.benchmarking.source import MapSource
from flairline.benchmarking.store import StoredScore
from flairline.evaluation.errors import FIGURES, Differences, figures
from flairline.evaluation.protocols import Protocol
from flairline.io.files import write_text
from flairline.io.tables import csv_of, markdown_text
from flairline.recipes import Recipe
from flairline.types import Mask, Space, Volume

SHOWN = ("dice", "false_islands_ml", "false_far_ml", "false_border_ml", "missed_lesions_ml", "missed_inside_ml")
AS_IT_IS = "nothing"


@dataclass(frozen=True)
class RuleRow:
    """Means over the scans of a data set where they are defined; `dice_change` is against the recipe as it is."""

    method: str
    dataset: str
    left_out: str
    dice: float
    dice_change: float
    false_islands_ml: float
    false_far_ml: float
    false_border_ml: float
    missed_lesions_ml: float
    missed_inside_ml: float
    n_scans: int


def run(results: Sequence[Result], sources: Sequence[MapSource], protocol: Protocol) -> list[RuleRow]:
    """A row for each source that has rules, data set and rule; none for sources without rules.

    Parameters
    ----------
    results
        Of `judge.judge`, while their scores are still stored; those of other protocols are passed over.
    """
    variants = {source.name: source.about.variants for source in sources}
    rows: list[RuleRow] = []
    for result in results:
        for (dataset, name), scans in result.stored.items():
            if result.protocol == protocol and variants[name]:
                judged = [scan for scan in scans if scan.has_truth]
                rows += _rows(name, dataset, judged, variants[name], protocol)
    return rows


def write(folder: Path, rows: Sequence[RuleRow]) -> None:
    """Write FOLDER/rules.{csv,md}, if there is a row. Raises `OutputError`."""
    if not rows:
        return
    write_text(folder / "rules.csv", csv_of(RuleRow, rows))
    head = ["method", "data set", "left out", "Dice", "change", *(FIGURES[name] for name in SHOWN[1:]), "scans"]
    lines = []
    for row in rows:
        volumes = (row.false_islands_ml, row.false_far_ml, row.false_border_ml)
        missed = (row.missed_lesions_ml, row.missed_inside_ml)
        cells = [f"{row.dice:.4f}", f"{row.dice_change:+.4f}", *(f"{value:.2f}" for value in (*volumes, *missed))]
        lines.append([row.method, row.dataset, row.left_out, *cells, str(row.n_scans)])
    title = "**What each rule of a mask is worth: the recipe's own mask with one rule left out.**"
    write_text(folder / "rules.md", f"{title}\n\n{markdown_text(head, lines)}\n")


def _rows(
    name: str,
    dataset: str,
    scans: Sequence[StoredScore],
    variants: Sequence[tuple[str, Recipe]],
    protocol: Protocol,
) -> Iterator[RuleRow]:
    listed: list[tuple[str, Recipe | None]] = [(AS_IT_IS, None), *variants]
    base = float("nan")
    for what, recipe in listed:
        found = [_figures(scan, recipe, protocol) for scan in scans]
        dice, island, far, border, missed, inside = (_mean([of_scan[figure] for of_scan in found]) for figure in SHOWN)
        base = dice if recipe is None else base
        yield RuleRow(name, dataset, what, dice, dice - base, island, far, border, missed, inside, len(found))


def _mean(values: Sequence[float]) -> float:
    """Of those that are defined; NaN where none is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _figures(stored: StoredScore, recipe: Recipe | None, protocol: Protocol) -> dict[str, float]:
    """The figures of a scan's mask, as it was stored or as another recipe makes it of the same score."""
    loaded = stored.load()
    mask, truth = judged_masks(loaded, protocol, None)
    if recipe is not None and recipe.threshold is not None:
        space = Space(loaded.scan.shape, np.diag([*stored.spacing_mm, 1.0]))
        made, _ = recipe.mask(Volume(loaded.score, space), Mask(loaded.brain, space), recipe.threshold)
        mask = made.array
    voxel_ml = float(np.prod(stored.spacing_mm)) / 1000.0
    return figures(mask, truth, Differences.of(mask, truth, stored.spacing_mm), voxel_ml)
