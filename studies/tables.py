"""The tables of the documents, from the JSON that a measurement left.

    python -m studies.tables [--check]

A page says `<!-- table: FILE -->` and `<!-- end -->` on lines of their own, with FILE beside the page or below it; what
stands between them is written from FILE, with the command, the commit and the date of the measurement beneath. So a
number stands once, in the JSON, and nobody types a table. `--check` changes nothing and fails where a page is not what
its data say.

FILE is a JSON object: `command`, `commit` (short hash of the code that was measured), `date` (ISO), `columns` (their
titles), `rows` (a list of cells each, text or numbers), and `note` where something must be said beneath.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs"
MARKED = re.compile(r"(<!-- table: (?P<file>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Measured:
    """A table, and where its numbers come from."""

    command: str
    commit: str
    date: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    @classmethod
    def read(cls, path: Path) -> Measured:
        """From JSON. Raises `KeyError` or `ValueError` where a field is missing or a row has too few cells."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(tuple(str(cell) for cell in row) for row in stored["rows"])
        columns = tuple(stored["columns"])
        uneven = [row for row in rows if len(row) != len(columns)]
        if uneven:
            msg = f"Wanted {len(columns)} cells in each row of {path.name}, found {len(uneven[0])} in {uneven[0]}."
            raise ValueError(msg)
        return cls(stored["command"], stored["commit"], stored["date"], columns, rows, stored.get("note", ""))

    def markdown(self) -> str:
        """The table, and beneath it in italics what was run, in which code, and when."""
        lines = [self.columns, ("---",) * len(self.columns), *self.rows]
        table = "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)
        source = f"*`{self.command}`, {self.date}, commit {self.commit}.{f' {self.note}' if self.note else ''}*"
        return f"{table}\n\n{source}\n"


def filled(page: Path) -> str:
    """The page's text with its tables as their data say."""

    def table(found: re.Match[str]) -> str:
        return f"{found[1]}\n{Measured.read(page.parent / found['file']).markdown()}\n{found[3]}"

    return MARKED.sub(table, page.read_text(encoding="utf-8"))


def pages() -> Iterator[Path]:
    """All pages of the documents, and the README."""
    yield ROOT / "README.md"
    yield from sorted(PAGES.rglob("*.md"))


def main() -> None:
    """Write the tables, or look whether they are as their data say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, fail where a page differs from its data")
    check = parser.parse_args().check
    stale = [page for page in pages() if filled(page) != page.read_text(encoding="utf-8")]
    for page in stale:
        if not check:
            page.write_text(filled(page), encoding="utf-8")
        print(page.relative_to(ROOT), "differs from its data" if check else "written")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
