"""One content-keyed store for every intermediate result: steps of preprocessing, scores, slices, synthetic scans.

An entry is a folder of files, named by a hash of everything that it depends on. It appears by one rename when all of
its files are written, so a killed run leaves a whole entry or a folder `.part-...`, which the next run removes. An
entry that was cut off, changed or lost a file is not found again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flairline.errors import OutputError
from flairline.io.files import prepare_folder, sha256, write_json

log = logging.getLogger(__name__)

ENTRY = "entry.json"
"""The file in an entry that says what it depends on and what its files are."""

LEFTOVER_SECONDS = 3600
"""A half-written entry older than this is removed even if a process of its number lives: numbers come again."""


def content_key(kind: str, version: int, depends_on: Mapping[str, Any]) -> str:
    """Name of an entry: its kind, and a hash of its version and of all that it depends on.

    Parameters
    ----------
    kind
        What is kept ("brain", "slices", "score"), for people who look into the folder.
    version
        Goes up when the code makes something else of the same inputs.
    depends_on
        Plain values; inputs by the hash of their content, never by name or time.
    """
    text = json.dumps([kind, version, dict(depends_on)], sort_keys=True, default=str)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True)
class Store:
    """A folder of entries. Several processes may use one folder at once."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Store:
        """The store in a folder, made if missing; what killed runs of this machine left half-written is removed.

        Raises
        ------
        OutputError
            The folder cannot be made or written to.
        """
        _remove_leftovers(prepare_folder(folder))
        return cls(folder)

    def find(self, key: str, *, check_content: bool = True) -> Path | None:
        """The folder of a whole entry; None if there is none, or a damaged one, which is removed.

        Parameters
        ----------
        check_content
            Compare every file's hash; without it only its size, for files that are too large to read twice.
        """
        place = self.folder / key
        if not place.exists():
            return None
        try:
            files = json.loads((place / ENTRY).read_text(encoding="utf-8"))["files"]
            whole = all(_is_same(place / name, known, check_content) for name, known in files.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.debug("%s: %s", place, error)
            whole = False
        if whole:
            return place
        log.warning("The kept result %s is damaged and is made again.", place)
        shutil.rmtree(place, ignore_errors=True)
        return None

    def about(self, key: str) -> dict[str, Any]:
        """What the maker of an entry wrote about it. The entry must be there."""
        return json.loads((self.folder / key / ENTRY).read_text(encoding="utf-8"))["about"]

    @contextlib.contextmanager
    def new(self, key: str, about: Mapping[str, Any]) -> Iterator[Path]:
        """A folder to write an entry's files into; the entry appears when the block ends without an error.

        If another process kept the same entry meanwhile, that one stays.

        Raises
        ------
        OutputError
            The disk is full or the folder cannot be written to; nothing half-written stays.
        """
        part = self.folder / f"{_part_start()}{os.getpid()}-{key}"
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            yield part
            files = {
                path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in sorted(part.iterdir())
            }
            write_json(part / ENTRY, {"about": dict(about), "files": files})
            with contextlib.suppress(OSError):
                part.rename(self.folder / key)
        except OSError as error:
            msg = f"Cannot keep results in {self.folder}: {error.strerror}. Free some space or give another with -w."
            raise OutputError(msg) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _known_by(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def _is_same(path: Path, known: Mapping[str, Any], check_content: bool) -> bool:
    return path.stat().st_size == known["bytes"] and (not check_content or sha256(path) == known["sha256"])


def _part_start() -> str:
    return f".part-{socket.gethostname()}-"


def _remove_leftovers(folder: Path) -> None:
    """Folders that processes of this machine began and did not live to finish."""
    for part in folder.glob(f"{_part_start()}*"):
        process = part.name.removeprefix(_part_start()).split("-")[0]
        try:
            is_old = time.time() - part.stat().st_mtime > LEFTOVER_SECONDS
        except FileNotFoundError:  # another process was faster
            continue
        if process.isdigit() and (is_old or not _is_alive(int(process))):
            shutil.rmtree(part, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
