"""The tables of where the Dice goes: figures and pieces as CSV, and both tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from flairline.benchmarking.errors import NAN, CohortErrors, ScanErrors
from flairline.benchmarking.rows import COHORT, Row, mean_interval, row_subject, write_rows
from flairline.evaluation.errors import BORDER, FAR, FIGURES, FOUND, INSIDE, ISLAND, MISSED, Piece
from flairline.evaluation.lesions import SIZE_CLASSES_ML
from flairline.imaging.regions import REGIONS
from flairline.io.files import write_text
from flairline.io.tables import csv_of, markdown_text

UNPLACED = "not known"
"""The region of what lies in a scan that could not be laid onto the atlas."""


@dataclass(frozen=True)
class PieceRow:
    """One line of pieces.csv."""

    dataset: str
    method: str
    protocol: str
    subject: str
    kind: str
    ml: float
    size_ml: float
    region: str
    x: int
    y: int
    z: int


@dataclass(frozen=True)
class PartRow:
    """One line of parts.csv: the pieces of one region or of one class of sizes; ml are means over the scans.

    `lesions` and `touched` are counts over all scans; an island or far piece is sorted by its own place and volume,
    everything else by its lesion's.
    """

    dataset: str
    method: str
    protocol: str
    by: str
    part: str
    lesions: int
    touched: int
    islands: int
    lesions_ml: float
    missed_lesions_ml: float
    missed_inside_ml: float
    false_islands_ml: float
    false_far_ml: float
    false_border_ml: float


def rows_of(cohorts: Sequence[CohortErrors], seed: int = 0) -> Iterator[Row]:
    """Every figure as in rows.csv: the cohort's mean with its interval, then each scan's."""
    for cohort in cohorts:
        patients = [scan.case.patient for scan in cohort.scans]
        for name in FIGURES:
            values = np.array([scan.figures[name] for scan in cohort.scans])
            n = int(np.count_nonzero(~np.isnan(values)))
            interval = mean_interval(values, patients, seed)
            yield Row(*cohort.start, COHORT, name, cohort.mean(name), n, *interval)
        for scan in cohort.scans:
            for name, value in scan.figures.items():
                yield Row(*cohort.start, row_subject(scan.case.label), name, value, int(value == value))


def parts_of(cohort: CohortErrors) -> Iterator[PartRow]:
    """Its pieces by region, then by size; parts without a piece are left out."""
    pieces = [piece for scan in cohort.scans for piece in scan.pieces]
    for region in (*REGIONS, ""):
        chosen = [piece for piece in pieces if piece.region == region]
        if chosen:
            yield _part(cohort, "region", region or UNPLACED, chosen)
    # Volumes are sums of rounded voxels: one on a class's edge must not fall below it.
    classes = np.digitize([piece.size_ml * (1 + 1e-9) for piece in pieces], SIZE_CLASSES_ML[1:-1])
    for number, (low, high) in enumerate(pairwise(SIZE_CLASSES_ML)):
        chosen = [piece for piece, place in zip(pieces, classes, strict=True) if place == number]
        words = f"{low:g} ml and more" if np.isinf(high) else f"{low:g} to {high:g} ml"
        if chosen:
            yield _part(cohort, "size", words, chosen)


def _part(cohort: CohortErrors, by: str, part: str, pieces: Sequence[Piece]) -> PartRow:
    def ml(*kinds: str) -> float:
        return float(sum(piece.ml for piece in pieces if piece.kind in kinds)) / len(cohort.scans)

    touched, missed, islands = (sum(piece.kind == kind for piece in pieces) for kind in (FOUND, MISSED, ISLAND))
    counts = (touched + missed, touched, islands)
    lesions_ml = ml(FOUND, INSIDE, MISSED)
    return PartRow(*cohort.start, by, part, *counts, lesions_ml, *map(ml, (MISSED, INSIDE, ISLAND, FAR, BORDER)))


def table(cohorts: Sequence[CohortErrors]) -> str:
    """The table as Markdown, one a source and protocol: a line a figure, a column a data set, then their mean."""
    texts = []
    for name, protocol, mask in dict.fromkeys((c.source.name, c.protocol.name, c.mask) for c in cohorts):
        chosen = [c for c in cohorts if (c.source.name, c.protocol.name, c.mask) == (name, protocol, mask)]
        head = ["mean over the scans", *(f"{c.dataset} ({len(c.scans)})" for c in chosen), "mean of the data sets"]
        lines = []
        for figure, words in FIGURES.items():
            means = [cohort.mean(figure) for cohort in chosen]
            known = [value for value in means if not np.isnan(value)]
            digits = 1 if figure.endswith("_ml") else 3
            cells = [f"{value:.{digits}f}" for value in (*means, float(np.mean(known)) if known else NAN)]
            lines.append([words, *cells])
        texts.append(
            f"**Where the Dice of {name} goes** ({protocol}; the mask is {mask})\n\n{markdown_text(head, lines)}"
        )
    return "\n\n".join(texts)


def parts_table(cohorts: Sequence[CohortErrors]) -> str:
    """`parts_of` as Markdown."""
    head = ["method", "data set", "part", "touched / lesions", "lesions, ml", "missed lesions, ml"]
    head += ["missing in touched ones, ml", "islands", "islands, ml", "far, ml", "border, ml"]
    lines = []
    for cohort in cohorts:
        for row in parts_of(cohort):
            hit = f"{row.touched} / {row.lesions}"
            volumes = [f"{value:.2f}" for value in astuple(row)[8:]]
            lines.append([row.method, row.dataset, row.part, hit, *volumes[:3], str(row.islands), *volumes[3:]])
    return markdown_text(head, lines)


def write(folder: Path, cohorts: Sequence[CohortErrors], seed: int = 0) -> None:
    """Write FOLDER/figures.csv, pieces.csv, parts.csv, table.md. Raises `OutputError`."""
    write_rows(folder / "figures.csv", list(rows_of(cohorts, seed)))
    pieces = [row for cohort in cohorts for scan in cohort.scans for row in _piece_rows(cohort, scan)]
    write_text(folder / "pieces.csv", csv_of(PieceRow, pieces))
    write_text(folder / "parts.csv", csv_of(PartRow, (row for cohort in cohorts for row in parts_of(cohort))))
    notes = [f"- {scan.case.key}: {scan.note}" for cohort in cohorts for scan in cohort.scans if scan.note]
    unknown = ["Regions are not known of:", "\n".join(dict.fromkeys(notes))] if notes else []
    text = "\n\n".join(
        [table(cohorts), "Means over the scans, lesions and islands counted:", parts_table(cohorts), *unknown]
    )
    write_text(folder / "table.md", text + "\n")


def _piece_rows(cohort: CohortErrors, scan: ScanErrors) -> Iterator[PieceRow]:
    dataset, method, protocol = cohort.start
    for piece in scan.pieces:
        x, y, z = piece.voxel
        region = piece.region or UNPLACED
        label = scan.case.label
        yield PieceRow(dataset, method, protocol, label, piece.kind, piece.ml, piece.size_ml, region, x, y, z)
