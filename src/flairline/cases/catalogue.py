"""The data sets that lie in folders: what `flairline datasets` says of them, and one of them by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flairline import registry
from flairline.cases.fetch import RemoteFile
from flairline.cases.folder import FolderDataset
from flairline.errors import InputError, UnknownNameError

TABLE = {"cases": "a table of cases, given with --cases"}
"""What is no data set but stands beside them: its name in the list, and what it is."""


def names() -> list[str]:
    """Names of the data sets that lie in folders."""
    return [name for name in registry.names("datasets") if not registry.load("datasets", name).made_on_the_spot]


def others() -> dict[str, str]:
    """Name -> what it is, of all that lies in no folder: a table of cases, and data sets that are made on the spot."""
    found = {name: registry.load("datasets", name).made_on_the_spot for name in registry.names("datasets")}
    return TABLE | {name: what for name, what in found.items() if what}


def rows() -> list[dict[str, str]]:
    """One row a data set: name, what it is, scans, labels, licence, how to get it, citation."""
    table = []
    for name in names():
        one: Any = registry.load("datasets", name)
        scans = str(len(one.subjects)) if one.subjects else "any number"
        table.append(
            {
                "name": name,
                "what": one.title,
                "scans": f"{scans} ({one.scans_note})" if one.scans_note else scans,
                "licence": one.licence,
                "how to get it": f"{one.how_to_get} {one.address}",
                "citation": one.citation,
            }
        )
    for name, what in others().items():
        table.append({"name": name, "what": what, "scans": "-", "licence": "-", "how to get it": "-", "citation": "-"})
    return table


def on_disk(name: str, folder: Path) -> FolderDataset:
    """The data set `name` in a folder.

    Raises
    ------
    UnknownNameError
        There is no such data set.
    InputError
        It is none that lies in a folder.
    """
    if (what := others().get(name)) is not None:
        msg = f"Wanted a data set that lies in a folder, but {name} is {what}. Names: {', '.join(names())}."
        raise InputError(msg)
    if name not in names():
        raise UnknownNameError("data set", name, names())
    return registry.load("datasets", name)(folder)


def remote_files(name: str, part: str | None = None) -> list[RemoteFile]:
    """What there is to fetch of a data set. Raises `InputError` with the way to get it where a person must."""
    dataset = type(on_disk(name, Path()))
    return dataset.remote_files(part) if part is not None else dataset.remote_files()
