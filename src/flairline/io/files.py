"""Writing files whole or not at all, and knowing them by content."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError, OutputError


def prepare_folder(folder: Path) -> Path:
    """Make `folder` and check that it can be written to.

    Raises
    ------
    OutputError
        It is a file, or it cannot be made or written to.
    """
    if folder.exists() and not folder.is_dir():
        msg = f"Wanted an output folder, but {folder} is a file. Give another folder with -o."
        raise OutputError(msg)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = f"Cannot write to the output folder {folder}: {error.strerror}. Give a writable folder with -o."
        raise OutputError(msg) from error
    return folder


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the whole new one, never a part.

    Raises
    ------
    OutputError
        The folder cannot be written to, or the disk is full; nothing half-written stays behind.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only their owner may read
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        msg = f"Cannot write {path}: {error.strerror}. Free some space or give another folder with -o."
        raise OutputError(msg) from error
    finally:  # also when it was stopped
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def remove_file(path: Path) -> None:
    """Delete a file; where there is none, nothing is done. Raises `OutputError`."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        msg = f"Cannot replace {path}: {error.strerror}. Give another folder with -o."
        raise OutputError(msg) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all. What cannot be written in UTF-8 is written as `readable` has it."""
    write_bytes(path, readable(text).encode("utf-8"))


def readable(text: str) -> str:
    """The text with letters for the bytes that Python keeps of a file name that is not UTF-8: its latin-1 letters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(_letter(sign) for sign in text)
    return text


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all, as `json_text` has it."""
    write_text(path, json_text(content) + "\n")


def json_text(content: Any) -> str:
    """JSON that every program reads: NaN, which JSON does not have, becomes null, and texts are `readable`."""
    return json.dumps(_plain(content), indent=2, allow_nan=False)


def write_array(path: Path, array: NDArray) -> None:
    """Write a numpy array (.npy) whole or not at all."""
    content = BytesIO()
    np.save(content, array, allow_pickle=False)
    write_bytes(path, content.getvalue())


def sha256(path: Path) -> str:
    """Hash of a file's content.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"Cannot read {path}: {error.strerror}."
        raise InputError(msg) from error


def _plain(content: Any) -> Any:
    """Only what JSON has: numpy scalars and arrays become Python's, NaN and infinities become None, paths text."""
    if isinstance(content, dict):
        return {readable(str(key)): _plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    if isinstance(content, (np.ndarray, np.generic)):
        return _plain(content.tolist())
    if isinstance(content, float) and (content != content or content in (float("inf"), float("-inf"))):
        return None
    if isinstance(content, (Path, str)):
        return readable(str(content))
    return content


def _letter(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was kept
        return chr(code - 0xDC00)
    return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= code <= 0xDFFF else sign


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
