"""A table of cases: CSV with one row a scan.

Columns: dataset, subject, flair, t1, t2, brain, truth; for maps that another program made also score or mask; session
and site where scans share a patient or a scanner. A path is absolute or relative to the table, empty where there is
none. Further columns are kept in `Case.extra`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flairline.errors import TableError
from flairline.types import Case

PATH_COLUMNS = ("flair", "t1", "t2", "brain", "truth", "score", "mask")
TEXT_COLUMNS = ("dataset", "subject", "session", "site")


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

    def _reader(self) -> csv.DictReader:
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            msg = f"Cannot read the table of cases {self.path}: {reason}. Give a CSV file."
            raise TableError(msg) from error
        reader = csv.DictReader(text.splitlines(), restval="")
        try:
            reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
        except csv.Error as error:
            msg = f"{self.path}, line 1: {error}. Give a CSV file."
            raise TableError(msg) from error
        return reader

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
                msg = f"{self.path}, line {reader.line_num}: more values than the {len(header)} columns of the header."
                raise TableError(msg)
            if any((value or "").strip() for value in row.values()):
                rows.append((reader.line_num, {key: (value or "").strip() for key, value in row.items()}))
        return rows

    def _values(self, reader: csv.DictReader) -> Iterator[dict[str, str]]:
        try:
            yield from reader
        except csv.Error as error:
            msg = f"{self.path}, line {reader.line_num + 1}: {error}. Give a CSV file."
            raise TableError(msg) from error

    def _case(self, line: int, row: dict[str, str], required: tuple[str, ...]) -> Case:
        for column in ("dataset", "subject", *required):
            if not row[column]:
                msg = f"{self.path}, line {line}: the column {column!r} is empty. Fill it."
                raise TableError(msg)
        paths = {column: self._path(line, column, row.get(column, "")) for column in PATH_COLUMNS}
        extra = {key: value for key, value in row.items() if key not in PATH_COLUMNS + TEXT_COLUMNS}
        session, site = row.get("session", ""), row.get("site", "")
        return Case(row["dataset"], row["subject"], **paths, session=session, site=site, extra=extra)

    def _path(self, line: int, column: str, value: str) -> Path | None:
        if not value:
            return None
        path = self.path.parent / Path(value).expanduser()
        if not path.exists():
            msg = f"{self.path}, line {line}, column {column!r}: no such file: {path}."
            raise TableError(msg)
        return path
