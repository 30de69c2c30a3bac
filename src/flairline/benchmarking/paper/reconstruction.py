"""Does a network that reconstructs better find lesions better? Each method's error on healthy slices beside its Dice.

The argument of Meissen et al. 2021 (section 5, figure 4, after Baur et al. 2021): Dice does not follow reconstruction
quality. Methods without a reconstruction (`histeq`) stand in the same table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flairline.benchmarking.judge import Result
from flairline.benchmarking.rows import COHORT
from flairline.benchmarking.source import MapSource, Reconstruction
from flairline.io.files import write_text
from flairline.io.tables import csv_of, markdown_text

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


def make(results: Sequence[Result], sources: Sequence[MapSource]) -> list[Line]:
    """The table's lines, by data set, protocol and error; methods without a reconstruction come last.

    Raises
    ------
    ModelError
        A model folder is broken.
    """
    quality = {source.name: source.reconstruction_quality() for source in sources}
    errors = {name: NAN if known is None else known.l1_healthy for name, known in quality.items()}
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


def printed(lines: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    """Columns and cells as people read them."""
    return ["data set", "protocol", "method", "healthy L1", "oracle Dice", "Dice without labels"], [
        [
            line.dataset,
            line.protocol,
            line.method,
            _number(line.l1_healthy, 4),
            _number(line.dice_oracle),
            _number(line.dice),
        ]
        for line in lines
    ]


def as_markdown(lines: Sequence[Line], notes: Sequence[str] = ()) -> str:
    """Caption, table, the rank correlation of each data set and protocol, and `notes`."""
    below = "\n".join(f"- {note}" for note in (*_correlations(lines), *notes))
    return f"**Reconstruction.** {CAPTION}\n\n{markdown_text(*printed(lines))}\n\n{below}\n"


def write(folder: Path, results: Sequence[Result], sources: Sequence[MapSource]) -> None:
    """Write FOLDER/reconstruction.csv and .md. Raises `OutputError`, and `ModelError` for a broken model folder."""
    lines = make(results, sources)
    known = [quality for source in sources if (quality := source.reconstruction_quality()) is not None]
    write_text(folder / "reconstruction.csv", csv_of(Line, lines))
    write_text(folder / "reconstruction.md", as_markdown(lines, incomparable(known)))


def incomparable(known: Sequence[Reconstruction]) -> list[str]:
    """What makes the errors of these models no fair comparison, in words."""
    notes = []
    if len({quality.validated_on for quality in known}) > 1:
        notes.append("The models were validated on different scans: their errors are not comparable.")
    if len({quality.grid for quality in known}) > 1:
        notes.append("The models see slices of different size or intensity.")
    return notes


def _correlations(lines: Sequence[Line]) -> Iterator[str]:
    for dataset, protocol in dict.fromkeys((line.dataset, line.protocol) for line in lines):
        group = [line for line in lines if (line.dataset, line.protocol) == (dataset, protocol)]
        value, n = rank_correlation([line.l1_healthy for line in group], [line.dice_oracle for line in group])
        words = f"{value:+.2f}" if value == value else "undefined"
        yield (
            f"{dataset}, {protocol}: rank correlation (Spearman) of healthy L1 and oracle Dice over {n} methods:"
            f" {words} (-1: the better the reconstruction, the better the Dice)"
        )


def _number(value: float, digits: int = 3) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"
