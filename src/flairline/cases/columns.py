"""Further columns of a table of cases, or of a BIDS folder's participants.tsv: age, sex, site, scanner."""

from __future__ import annotations

from pathlib import Path

from flairline.errors import InputError
from flairline.types import Case

PARTICIPANTS = "participants.tsv"
OF_FILES = ("known_labels", "lesion_labels", "ignored_labels", "one_grid", "converter", "kinds")
"""Columns that say how a scan's files are to be read, and nothing of whose scan it is."""


def columns_of(case: Case) -> dict[str, str]:
    """What is said of a case beyond its files: its site, and the table's further columns that hold no path."""
    own = {"site": case.site} if case.site else {}
    further = {name: value for name, value in case.extra.items() if name not in OF_FILES}
    return {
        **own,
        **{name: value for name, value in further.items() if name and "/" not in value and "\\" not in value},
    }


def participants_of(root: Path) -> tuple[list[str], dict[str, dict[str, str]]]:
    """The further columns of participants.tsv, and each subject's values by its label; nothing where it is missing.

    Raises
    ------
    InputError
        It is there and is no such table.
    """
    path = root / PARTICIPANTS
    if not path.exists():
        return [], {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"Cannot read {path}: {error}. BIDS wants a table with tabs, in UTF-8."
        raise InputError(msg) from error
    header, *rows = [line.split("\t") for line in lines if line.strip()] or [[""]]
    if header[0].strip() != "participant_id":
        msg = f"{path}, line 1: wanted the first column 'participant_id', found {header[0]!r}. BIDS wants tabs."
        raise InputError(msg)
    columns = [name.strip() for name in header[1:]]
    values = {
        row[0].strip().removeprefix("sub-"): dict(zip(columns, (cell.strip() for cell in row[1:]), strict=False))
        for row in rows
    }
    return columns, values
