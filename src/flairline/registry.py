"""Plug-ins: a plug-in is one file, its file name is its name, its folder fixes the symbol that it defines.

Listing names imports no plug-in. A plug-in folder holds plug-ins and, in a file of the name `base`, the contract that
they keep; nothing else. Other packages add theirs through entry points of the group ``flairline.<kind>``, which point
to the module.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from flairline.errors import MissingPackageError, UnknownNameError

KINDS = {
    "methods": "Method",
    "datasets": "Dataset",
    "metrics": "metric",
    "report.sections": "render",
}
"""Kind (the folder under flairline) -> the symbol that a plug-in of this kind defines."""

CONTRACT = "base"
"""The one file of a plug-in folder that is no plug-in: it says what a plug-in of that kind is."""


def names(kind: str) -> list[str]:
    """Names of all plug-ins of a kind, sorted, without importing any of them."""
    return sorted({*own_names(kind), *_foreign(kind)})


def own_names(kind: str) -> list[str]:
    """Names of the plug-ins that come with flairline, sorted.

    Raises
    ------
    UnknownNameError
        There is no such kind.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind of plug-in", kind, KINDS)
    folder = Path(__file__).parent.joinpath(*kind.split("."))
    found = (module.name for module in pkgutil.iter_modules([str(folder)]))
    return [name for name in found if name != CONTRACT and not name.startswith("_")]


def load(kind: str, name: str) -> Any:
    """The symbol that the plug-in defines. What it is, the contract of its kind says (`methods.base.load_method`).

    Raises
    ------
    UnknownNameError
        There is no such plug-in; the message names the closest.
    MissingPackageError
        The plug-in is there but a package that it imports is not; the message names both.
    """
    # Entry points of all installed packages take time to read, so our own are looked at first.
    if name in own_names(kind):
        distribution = "flairline"
        module_name = f"flairline.{kind}.{name}"
    elif name in (foreign := _foreign(kind)):
        module_name, distribution = foreign[name].value, _distribution(foreign[name])
    else:
        raise UnknownNameError(kind.split(".")[-1].removesuffix("s"), name, names(kind))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "flairline":
            raise
        wanted_by = f"{name}, of the package {distribution},"
        raise MissingPackageError(wanted_by, str(error.name)) from error
    return getattr(module, KINDS[kind])


def _foreign(kind: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"flairline.{kind}")}


def _distribution(entry: EntryPoint) -> str:
    """The package that an entry point is of, or its module where nobody says."""
    return entry.dist.name if entry.dist is not None else entry.value.split(".")[0]
