"""What numbers depend on besides the data."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("flairline", "numpy", "scipy", "nibabel", "numba", "connected-components-3d")


def versions() -> dict[str, str]:
    """Versions of flairline, Python and the libraries that numbers depend on."""
    return {**{name: version_of(name) for name in LIBRARIES}, "python": sys.version.split()[0]}


def version_of(name: str) -> str:
    """Version of an installed package; words that say so where it is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed as a package"
