"""Plug-ins: a plug-in is one file, its file name is its name, its folder fixes the symbol that it defines.

Listing names imports no plug-in. Files whose name starts with an underscore are shared code, not plug-ins. Other
packages add theirs through entry points of the group ``flairline.<kind>``, which point to the module.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from flairline.errors import MissingExtraError, UnknownNameError

KINDS = {
    "methods": "Method",
    "datasets": "Dataset",
    "metrics": "metric",
    "report.sections": "render",
}
"""Kind (the folder under flairline) -> the symbol that a plug-in of this kind defines."""


def names(kind: str) -> list[str]:
    """Names of all plug-ins of a kind, sorted, without importing any of them."""
    return sorted({*_own(kind), *_foreign(kind)})


def load(kind: str, name: str) -> Any:
    """The symbol that the plug-in defines.

    Raises
    ------
    UnknownNameError
        There is no such plug-in; the message names the closest.
    MissingExtraError
        The plug-in is there but something it imports is not.
    """
    # Entry points of all installed packages take time to read, so our own are looked at first.
    if name in _own(kind):
        module_name = f"flairline.{kind}.{name}"
    elif name in (foreign := _foreign(kind)):
        module_name = foreign[name].value
    else:
        raise UnknownNameError(kind.split(".")[-1].removesuffix("s"), name, names(kind))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "flairline":
            raise
        raise MissingExtraError(f"{name} (it imports {error.name})", "deep") from error
    return getattr(module, KINDS[kind])


def _own(kind: str) -> list[str]:
    if kind not in KINDS:
        raise UnknownNameError("kind of plug-in", kind, KINDS)
    folder = Path(__file__).parent.joinpath(*kind.split("."))
    return [module.name for module in pkgutil.iter_modules([str(folder)]) if not module.name.startswith("_")]


def _foreign(kind: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"flairline.{kind}")}
