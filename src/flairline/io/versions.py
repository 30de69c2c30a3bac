"""What numbers depend on besides the data."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("flairline", "numpy", "scipy", "nibabel", "numba", "connected-components-3d")


def versions() -> dict[str, str]:
    """Versions of flairline, Python and the libraries that numbers depend on."""
    return {**{name: _version(name) for name in LIBRARIES}, "python": sys.version.split()[0]}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed as a package"
