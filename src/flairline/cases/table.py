"""A table of cases: CSV with one row a scan.

Columns: dataset, subject, flair, t1, t2, brain, truth; for maps that another program made also score or mask; session
and site where scans share a patient or a scanner. A path is absolute or relative to the table, empty where there is
none. Further columns are kept in `Case.extra`.

Spreadsheets write tables in many ways: with semicolons or tabs, as UTF-16, with a byte-order mark, with capitals in the
header, with backslashes in paths, with `sep=;` as their first line. All are read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flairline.errors import TableError
from flairline.io.files import readable
from flairline.types import Case

PATH_COLUMNS = ("flair", "t1", "t2", "brain", "truth", "score", "mask")
TEXT_COLUMNS = ("dataset", "subject", "session", "site")
UNSAID = ("n/a", "na", "nan", "none", "null", "-")
"""What BIDS, R and Python write where there is nothing, in small letters: no path, unless there is such a file."""
DELIMITERS = (",", ";", "\t")
"""Of these, the one by which the header has the most known columns; of equals the first."""


@dataclass(frozen=True)
class CaseTable:
    """The rows of a table of cases at `path`."""

    path: Path

    def cases(self, required: tuple[str, ...] = ("flair",)) -> list[Case]:
        """All rows, checked: columns are there, paths exist, no subject (and session) comes twice in a data set.

        Raises
        ------
        TableError
            With line and column.
        """
        rows = self._rows(("dataset", "subject", *required))
        cases = [self._case(line, row, required) for line, row in rows]
        if not cases:
            msg = f"{self.path} has a header but no rows. Add one row a scan."
            raise TableError(msg)
        seen: dict[tuple[str, str, str], int] = {}
        for (line, _), case in zip(rows, cases, strict=True):
            key = (case.dataset, case.subject, case.session)
            if key in seen:
                msg = (
                    f"{self.path}, line {line}: subject {case.subject!r} of {case.dataset!r} stands in line {seen[key]}"
                    " already. Give each row its own subject, or fill the column session."
                )
                raise TableError(msg)
            seen[key] = line
        return cases

    def columns(self) -> list[str]:
        """The header of the table. Raises `TableError` if it cannot be read."""
        return self._reader().fieldnames  # type: ignore[return-value]

    def _reader(self) -> _Reader:
        skipped, delimiter, lines = _parted(self._text().splitlines())
        reader = _Reader(lines, restval="", delimiter=delimiter, skipinitialspace=True)
        reader.skipped = skipped
        try:
            reader.fieldnames = [_column(name) for name in reader.fieldnames or []]
        except csv.Error as error:
            msg = f"{self.path}, line 1: {error}. Give a CSV file."
            raise TableError(msg) from error
        names = list(reader.fieldnames or [])
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1 and name in PATH_COLUMNS + TEXT_COLUMNS]
        if twice:
            msg = f"{self.path}, line 1: the column {twice[0]!r} comes {names.count(twice[0])} times. Keep one of them."
            raise TableError(msg)
        return reader

    def _text(self) -> str:
        try:
            content = self.path.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            msg = f"Cannot read the table of cases {self.path}: {reason}. Give a CSV file."
            raise TableError(msg) from error
        text = _decoded(content)
        if "\0" in text or content.startswith(b"PK"):
            msg = f"Cannot read the table of cases {self.path}: it is no text. Save the spreadsheet as a CSV file."
            raise TableError(msg)
        return text

    def _rows(self, required: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
        reader = self._reader()
        header = list(reader.fieldnames or [])
        missing = [column for column in required if column not in header]
        if missing:
            msg = (
                f"{self.path}, line 1: wanted the column {missing[0]!r}, found {', '.join(header) or 'nothing'}."
                " Add it (it may be empty where a scan has none)."
            )
            raise TableError(msg)
        rows = []
        for row in self._values(reader):
            if None in row:
                msg = f"{self.path}, line {reader.line}: more values than the {len(header)} columns of the header."
                raise TableError(msg)
            if any((value or "").strip() for value in row.values()):
                values = {key: (value or "").strip() for key, value in row.items()}
                # A path may have to stay as its bytes are; the rest is shown.
                rows.append((reader.line, {k: v if k in PATH_COLUMNS else readable(v) for k, v in values.items()}))
        return rows

    def _values(self, reader: _Reader) -> Iterator[dict[str, str]]:
        try:
            yield from reader
        except csv.Error as error:
            msg = f"{self.path}, line {reader.line + 1}: {error}. Give a CSV file."
            raise TableError(msg) from error

    def _case(self, line: int, row: dict[str, str], required: tuple[str, ...]) -> Case:
        for column in ("dataset", "subject", *required):
            if not row[column] or (column in PATH_COLUMNS and self._path(line, column, row[column]) is None):
                msg = f"{self.path}, line {line}: the column {column!r} is empty. Fill it."
                raise TableError(msg)
        paths = {column: self._path(line, column, row.get(column, "")) for column in PATH_COLUMNS}
        extra = {key: value for key, value in row.items() if key not in PATH_COLUMNS + TEXT_COLUMNS}
        session, site = row.get("session", ""), row.get("site", "")
        return Case(row["dataset"], row["subject"], **paths, session=session, site=site, extra=extra, notes=())

    def _path(self, line: int, column: str, value: str) -> Path | None:
        if not value:
            return None
        # As it stands; with the letters that its bytes are in latin-1; with the separators of another system.
        ways = dict.fromkeys([value, readable(value), value.replace("\\", "/"), readable(value).replace("\\", "/")])
        paths = [path for way in ways if (path := self._existing(way)) is not None]
        if not paths and value.lower() in UNSAID:
            return None
        if not paths:
            msg = (
                f"{self.path}, line {line}, column {column!r}: no such file: {readable(str(self.path.parent / value))}."
            )
            raise TableError(msg)
        return paths[0]

    def _existing(self, value: str) -> Path | None:
        try:
            path = self.path.parent / Path(value).expanduser()
            # A link that leads nowhere is that scan's failure, as every file that cannot be read.
            return path if path.exists() or path.is_symlink() else None
        except (OSError, RuntimeError, ValueError):  # a name too long, a home of nobody
            return None


class _Reader(csv.DictReader):
    """Rows by column; `line` is the line of the file that was read last, of which the first were `skipped`."""

    skipped = 0

    @property
    def line(self) -> int:
        return self.line_num + self.skipped


def _parted(lines: Sequence[str]) -> tuple[int, str, Sequence[str]]:
    """Lines to skip, delimiter, and the lines of the table: a spreadsheet may say `sep=;` before the header."""
    said = re.match(r'"?sep=(.)"?', lines[0], re.IGNORECASE) if lines else None
    return (1, said[1], lines[1:]) if said else (0, _delimiter(lines), lines)


def _decoded(content: bytes) -> str:
    """The text of a table in UTF-8 or UTF-16, with a byte-order mark or without; bytes that are neither are kept."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    for encoding, zeros in (("utf-16-le", content[1::2]), ("utf-16-be", content[::2])):
        if zeros.count(0) > 0.5 * len(zeros):  # plain letters have a zero in every other byte
            return content.decode(encoding, "replace")
    return content.decode("utf-8-sig", "surrogateescape")


def _delimiter(lines: Sequence[str]) -> str:
    known = {*PATH_COLUMNS, *TEXT_COLUMNS}
    header = lines[0] if lines else ""

    def count(delimiter: str) -> int:
        return sum(_column(name.strip('"')) in known for name in header.split(delimiter))

    return max(DELIMITERS, key=count)


def _column(name: str) -> str:
    """The name of a column: those known here in small letters, others as they stand."""
    bare = readable(name).strip()
    return bare.lower() if bare.lower() in (*PATH_COLUMNS, *TEXT_COLUMNS) else bare
