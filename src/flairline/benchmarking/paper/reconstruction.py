"""Does a network that reconstructs better find lesions better? Each method's error on healthy slices beside its Dice.

The argument of Meissen et al. 2021 (section 5, figure 4, after Baur et al. 2021): Dice does not follow reconstruction
quality. Methods without a reconstruction (`histeq`) stand in the same table.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from flairline.benchmarking.judge import COHORT, FileMaps, RecipeMaps, Result
from flairline.io.files import write_text
from flairline.learning.model import ModelFolder

NAN = float("nan")
FEWEST = 3
"""Methods that a rank correlation needs."""
CAPTION = (
    "Reconstruction error on healthy validation slices (mean absolute difference a brain pixel, images in [0, 1])"
    " against Dice. Methods that read one model folder share its error, which is the network's own, not the"
    " restoration's."
)


@dataclass(frozen=True)
class Line:
    """One method on one data set by one protocol.

    `l1_healthy` is NaN where the method does not reconstruct, `dice` (without labels) where there is no threshold rule.
    """

    dataset: str
    protocol: str
    method: str
    l1_healthy: float
    dice_oracle: float
    dice: float


def l1_healthy(maps: RecipeMaps | FileMaps) -> float:
    """Reconstruction error of a method's model on its healthy validation slices; NaN where there is none.

    Raises
    ------
    ModelError
        The model folder is broken.
    """
    return float(_config(maps).get("l1_healthy", NAN))


def is_reconstructing(maps: RecipeMaps | FileMaps) -> bool:
    """Whether the method's model learned to reconstruct slices."""
    return "l1_healthy" in _config(maps)


def make(results: Sequence[Result], maps: Sequence[RecipeMaps | FileMaps]) -> list[Line]:
    """The table's lines, by data set, protocol and error; methods without a reconstruction come last."""
    errors = {one.name: l1_healthy(one) for one in maps}
    values: dict[tuple[str, str, str], dict[str, float]] = {}
    for result in results:
        for row in result.rows:
            if row.subject == COHORT and row.metric in ("dice", "dice_oracle"):
                values.setdefault((row.dataset, row.protocol, row.method), {})[row.metric] = row.value
    lines = [Line(*key, errors[key[2]], of.get("dice_oracle", NAN), of.get("dice", NAN)) for key, of in values.items()]
    places = {key: place for place, key in enumerate(dict.fromkeys((line.dataset, line.protocol) for line in lines))}
    return sorted(
        lines, key=lambda line: (places[line.dataset, line.protocol], np.nan_to_num(line.l1_healthy, nan=9e9))
    )


def rank_correlation(errors: Sequence[float], dices: Sequence[float]) -> tuple[float, int]:
    """Spearman's correlation over methods that have both, and their number; NaN below three or where all are equal."""
    from scipy import stats

    pairs = np.array([pair for pair in zip(errors, dices, strict=True) if np.isfinite(pair).all()]).reshape(-1, 2)
    if len(pairs) < FEWEST or (np.ptp(pairs, axis=0) == 0).any():
        return NAN, len(pairs)
    return float(stats.spearmanr(pairs[:, 0], pairs[:, 1]).statistic), len(pairs)


def as_csv(lines: Sequence[Line]) -> str:
    """All columns; undefined values are nan."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Line)])
    writer.writerows(astuple(line) for line in lines)
    return text.getvalue()


def as_markdown(lines: Sequence[Line], notes: Sequence[str] = ()) -> str:
    """Caption, table, the rank correlation of each data set and protocol, and `notes`."""
    head = ("data set", "protocol", "method", "healthy L1", "oracle Dice", "Dice without labels")
    cells = [
        (
            line.dataset,
            line.protocol,
            line.method,
            _number(line.l1_healthy, 4),
            *map(_number, (line.dice_oracle, line.dice)),
        )
        for line in lines
    ]
    rows = (head, ("---",) * len(head), *cells)
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    below = "\n".join(f"- {note}" for note in (*_correlations(lines), *notes))
    return f"**Reconstruction.** {CAPTION}\n\n{body}\n\n{below}\n"


def write(folder: Path, results: Sequence[Result], maps: Sequence[RecipeMaps | FileMaps]) -> None:
    """Write FOLDER/reconstruction.csv and .md. Raises `OutputError`, and `ModelError` for a broken model folder."""
    lines = make(results, maps)
    write_text(folder / "reconstruction.csv", as_csv(lines))
    write_text(folder / "reconstruction.md", as_markdown(lines, _warnings(maps)))


def _correlations(lines: Sequence[Line]) -> Iterator[str]:
    for dataset, protocol in dict.fromkeys((line.dataset, line.protocol) for line in lines):
        mine = [line for line in lines if (line.dataset, line.protocol) == (dataset, protocol)]
        value, n = rank_correlation([line.l1_healthy for line in mine], [line.dice_oracle for line in mine])
        said = f"{value:+.2f}" if value == value else "undefined"
        yield (
            f"{dataset}, {protocol}: rank correlation (Spearman) of healthy L1 and oracle Dice over {n} methods: {said}"
            " (-1: the better the reconstruction, the better the Dice)"
        )


def _warnings(maps: Sequence[RecipeMaps | FileMaps]) -> list[str]:
    """What makes the errors of these models no fair comparison."""
    configs = [config for config in map(_config, maps) if "l1_healthy" in config]
    held = {
        tuple(sorted(scan["voxels_sha256"] for scan in config.get("training", {}).get("validation_scans", ())))
        for config in configs
    }
    grids = {json.dumps(config.get("grid", {}), sort_keys=True) for config in configs}  # of slices, or of an atlas
    notes = ["The models were validated on different scans: their errors are not comparable."] if len(held) > 1 else []
    return notes + (["The models see slices of different size or intensity."] if len(grids) > 1 else [])


def _config(maps: RecipeMaps | FileMaps) -> dict[str, Any]:
    model = maps.recipe.model if isinstance(maps, RecipeMaps) else None
    return {} if model is None else ModelFolder(model).config()


def _number(value: float, digits: int = 3) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"
