"""Tables as text: CSV and TSV for programs, Markdown for people, LaTeX for papers. The only writer of each.

A table is its columns' names and its lines of cells. Markdown and LaTeX take cells that are text already; CSV takes
numbers too and writes them in full, so that reading gives the same number back.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flairline.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

_CONVERTED = {"str": str, "int": int, "float": float}
"""How a column is read, by the annotation of a record's field."""


DIGITS = 10
"""Of a number in a table for people, more than any of them is sure of."""


def csv_text(columns: Sequence[str], lines: Iterable[Iterable[Any]]) -> str:
    """A header and one line each; undefined numbers are written as nan."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return text.getvalue()


def tsv_text(columns: Sequence[str], lines: Iterable[Iterable[Any]]) -> str:
    """As `csv_text`, with tabs and as BIDS wants it: what is not known is n/a, and a cell is one line without tabs.

    Numbers have ten digits, so that a sum of volumes has no tail of rounding.
    """
    rows = ["\t".join(_tsv_cell(cell) for cell in line) for line in (columns, *lines)]
    return "\n".join(rows) + "\n"


def csv_of(kind: type[Record], records: Iterable[Record]) -> str:
    """As `csv_text`, of dataclasses of one kind: a column a field."""
    return csv_text([field.name for field in dataclasses.fields(kind)], map(dataclasses.astuple, records))


def markdown_text(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table without a line's end behind it; a bar within a cell gets a backslash."""
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def tex_text(columns: Sequence[str], lines: Iterable[Sequence[str]], caption: str, n_left: int) -> str:
    """A LaTeX table that needs no package: `n_left` columns to the left, then numbers to the right."""
    alignment = "l" * n_left + "r" * (len(columns) - n_left)
    rows = "\n".join(" & ".join(map(_tex, line)) + r" \\" for line in lines)
    return (
        f"\\begin{{table}}\n\\caption{{{_tex(caption)}}}\n\\begin{{tabular}}{{{alignment}}}\n\\hline\n"
        f"{' & '.join(map(_tex, columns))} \\\\\n\\hline\n{rows}\n\\hline\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def read_lines(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and lines of a CSV file, each line by column.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            lines = list(reader)
            return list(reader.fieldnames or ()), lines
    except (OSError, ValueError, csv.Error) as error:
        msg = f"Cannot read the table {path}: {error}. Run the command that made it again."
        raise InputError(msg) from error


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """What `csv_of` wrote. Fields are text, int or float.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column, or has text where a number belongs.
    """
    _, lines = read_lines(path)
    wanted = {field.name: _CONVERTED[str(field.type)] for field in dataclasses.fields(kind)}
    try:
        return [kind(**{name: convert(line[name]) for name, convert in wanted.items()}) for line in lines]
    except (KeyError, TypeError, ValueError) as error:
        msg = f"Wanted a table with the columns {', '.join(wanted)} in {path}, but: {error}. Make it again."
        raise InputError(msg) from error


def _tsv_cell(cell: Any) -> str:
    if isinstance(cell, float) and cell == cell:
        return f"{cell:.{DIGITS}g}"
    return " ".join(str(cell).split()) if cell is not None and cell == cell and cell != "" else "n/a"


def _tex(text: str) -> str:
    for character in "&%_#$":
        text = text.replace(character, f"\\{character}")
    return text
