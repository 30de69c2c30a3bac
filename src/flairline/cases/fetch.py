"""Getting a data set whose licence allows it, file by file: what is there and whole is not fetched again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flairline.errors import InputError
from flairline.io.files import prepare_folder


@dataclass(frozen=True)
class RemoteFile:
    """A file elsewhere: where it goes below the folder, its address, and its sha256 (None: not verified)."""

    path: str
    url: str
    sha256: str | None = None


@dataclass(frozen=True)
class Fetched:
    """What became of one file: fetched, there already, or the reason why not."""

    file: RemoteFile
    status: str
    error: str | None = None


def fetch(files: Sequence[RemoteFile], folder: Path, progress: Callable[[str, int, int], None]) -> Iterator[Fetched]:
    """Fetch every file into `folder`, yielding as they come; one that fails does not stop the others.

    A file is written whole or not at all. One that is there is kept if its hash is right or not known.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    prepare_folder(folder)
    for done, file in enumerate(files):
        progress(f"fetching {file.path}", done, len(files))
        yield _fetch_one(file, folder)
    progress("fetched", len(files), len(files))


def _fetch_one(file: RemoteFile, folder: Path) -> Fetched:
    import pooch

    # pooch tells each file's path and, for those without a known hash, a hash to write down.
    pooch.get_logger().setLevel(logging.WARNING)
    target = folder / file.path
    hashed = f"sha256:{file.sha256}" if file.sha256 else None
    there = target.exists() and (hashed is None or pooch.hashes.hash_matches(str(target), hashed))
    if there:
        return Fetched(file, "was there already")
    try:
        pooch.retrieve(file.url, hashed, fname=target.name, path=target.parent, progressbar=False)
    except (OSError, ValueError) as error:
        return Fetched(file, "failed", f"{file.url}: {str(error).splitlines()[0]}")
    return Fetched(file, "fetched" if file.sha256 else "fetched, not verified")


def no_fetch(dataset: type) -> InputError:
    """What to say where a person has to get the data set."""
    return InputError(
        f"{dataset.title} cannot be fetched: {dataset.licence}. {dataset.how_to_get} Address: {dataset.address}."  # type: ignore[attr-defined]
    )
