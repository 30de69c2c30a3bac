"""What became of each scan: one small file a scan, written last, which alone says whether the scan is done.

A state is keyed by the contents of the inputs, the parameters and the version: where any of these is another, the scan
is made again. Hashes of inputs that did not change on disk since (size, times, inode) are taken from the state.

A scan is worked on by one process at a time, on whatever machine, which holds its lock; so several runs may share one
OUT, as the jobs of an array do.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from flairline.errors import InputError, OutputError
from flairline.io.files import sha256, write_json, write_text

STATES = "state"
SCHEMA = 1
UNUSABLE = "Its state is damaged, or another version's. Run the participant level again."

Status = Literal["done", "failed"]


class BusyError(OutputError):
    """Another process works on the same scan, or writes the same group."""


@dataclass(frozen=True)
class FileStamp:
    """A file as it was when it was hashed. `seen` is its size, its two times and its inode."""

    path: str
    sha256: str
    seen: tuple[int, ...]

    @classmethod
    def of(cls, root: Path, path: str, known: FileStamp | None = None) -> FileStamp:
        """A file below `root`; its hash is taken from `known` where nothing touched the file since.

        Raises
        ------
        InputError
            It cannot be read.
        """
        try:
            status = (root / path).stat()
        except OSError as error:
            msg = f"Cannot read {root / path}: {error.strerror}."
            raise InputError(msg) from error
        seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        if known is not None and (known.path, known.seen) == (path, seen):
            return known
        return cls(path, sha256(root / path), seen)


@dataclass(frozen=True)
class ScanState:
    """What became of one scan.

    Attributes
    ----------
    name
        As its files begin: ``sub-01_ses-2``.
    key
        Of inputs, parameters and version.
    inputs
        By role.
    outputs
        Path below OUT -> size in bytes.
    flags
        Quality flags in words.
    notes
        What was chosen among several files.
    error
        In one line, empty where it is done.
    died
        Whether its process died, rather than the scan being bad.
    seconds, peak_mb
        How long it took, and the most memory that its process held meanwhile.
    """

    name: str
    key: str
    status: Status
    inputs: Mapping[str, FileStamp] = field(default_factory=dict)
    outputs: Mapping[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    died: bool = False
    seconds: float = float("nan")
    peak_mb: float = float("nan")

    def is_whole(self, out: Path) -> bool:
        """Whether every output is there, as large as it was written."""
        return self.status == "done" and all(_size(out / path) == size for path, size in self.outputs.items())

    def write(self, out: Path) -> None:
        """Write it, whole or not at all. Raises `OutputError`."""
        write_json(path_of(out, self.name), {"schema": SCHEMA, **asdict(self)})


def path_of(out: Path, name: str) -> Path:
    """Where the state of a scan lies."""
    return out / STATES / f"{name}.json"


def read_state(path: Path) -> ScanState | None:
    """The state in a file; None where there is none, or none that this version can use."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _state(content) if content.pop("schema") == SCHEMA else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # half of a disk, another program's file
        return None


def states_of(out: Path) -> Iterator[ScanState]:
    """The states of all scans, by name; one that cannot be used is that of a scan that failed."""
    folder = out / STATES
    for name in sorted(path.name for path in folder.glob("*.json")):
        state = read_state(folder / name)
        yield ScanState(name.removesuffix(".json"), "", "failed", error=UNUSABLE) if state is None else state


def key_of(inputs: Mapping[str, FileStamp], parameters: Mapping[str, Any], version: str) -> str:
    """What a state is keyed by: contents of inputs, parameters, version."""
    about = {
        "inputs": {role: stamp.sha256 for role, stamp in sorted(inputs.items())},
        "parameters": parameters,
        "version": version,
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()


def failed(state: ScanState, error: str, *, died: bool = False) -> ScanState:
    """The state of the same scan where it failed."""
    return replace(state, status="failed", outputs={}, error=error, died=died)


@contextmanager
def locked(out: Path, name: str) -> Iterator[None]:
    """Hold the lock of a scan (or of the group) in OUT.

    The system lets go of it when the process ends, however it ends.

    Raises
    ------
    BusyError
        Another process holds it; who does is named.
    OutputError
        OUT cannot be written to.
    """
    folder = out / STATES / "locks"
    owner = folder / f"{name}.owner"
    lock = FileLock(folder / f"{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        msg = (
            f"{name} in {out} is being worked on by {_owner(owner)}. Wait for that run, or end it; then run the same"
            " command again."
        )
        raise BusyError(msg) from error
    except OSError as error:
        msg = f"Cannot write to {folder}: {error.strerror}. Give a writable folder."
        raise OutputError(msg) from error
    try:
        write_text(owner, f"{_user()} on {socket.gethostname()}, process {os.getpid()}\n")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _owner(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return "another process"


def _user() -> str:
    """Who runs this; a container's user may have no entry in passwd."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _state(content: dict[str, Any]) -> ScanState:
    inputs = {
        role: FileStamp(stamp["path"], stamp["sha256"], tuple(stamp["seen"]))
        for role, stamp in content.pop("inputs").items()
    }
    numbers = {name: _nan_of(content[name]) for name in ("seconds", "peak_mb")}
    texts = {name: tuple(content[name]) for name in ("flags", "notes")}
    return ScanState(**{**content, "inputs": inputs, **numbers, **texts})


def _nan_of(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
