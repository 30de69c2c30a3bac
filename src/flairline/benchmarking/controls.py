"""The cheap methods that run beside every other one: who does not beat them has learned nothing."""

from __future__ import annotations

from functools import lru_cache

from flairline import registry
from flairline.errors import MissingExtraError


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Every method whose role is "control", in the order of the tables: what costs nothing first, then by name."""
    found = []
    for name in registry.names("methods"):
        try:
            info = registry.load("methods", name).info
        except MissingExtraError:
            continue  # a control needs no extra
        if info.role == "control":
            found.append((info.cost != "none", name))
    return tuple(name for _, name in sorted(found))
