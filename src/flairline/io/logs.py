"""Where the traceback of a scan's failure is kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

from flairline.errors import OutputError
from flairline.executor import Outcome
from flairline.io.files import readable, remove_file, write_text

Item = TypeVar("Item")
Result = TypeVar("Result")

LOGS = "logs"
LONGEST = 120
"""So many of a name's last letters stand in its log's name, which a folder must have room for."""


def write_log(folder: Path, name: str, text: str) -> Path:
    """Write `text` to FOLDER/logs/NAME.txt and return that path. Raises `OutputError`.

    Separators in the name become underscores.
    """
    path = _log_of(folder, name)
    write_text(path, text)
    return path


def with_log(outcome: Outcome[Item, Result], folder: Path, name: str) -> Outcome[Item, Result]:
    """The outcome of one scan, its traceback kept in FOLDER/logs/NAME.txt if it has one; the error names the file.

    What an earlier run left there of a scan that ended otherwise now is removed.
    """
    try:
        if not outcome.traceback:
            remove_file(_log_of(folder, name))
            return outcome
        return outcome.with_traceback_in(write_log(folder, name, outcome.traceback))
    except OutputError:  # the folder is full or gone; the error itself is still to be told
        return outcome


def _log_of(folder: Path, name: str) -> Path:
    return folder / LOGS / (re.sub(r"[/\\\x00-\x1f]", "_", readable(name)).lstrip(".")[-LONGEST:] + ".txt")
