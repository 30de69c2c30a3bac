"""Jinja2 with everything escaped, and how numbers are written."""

from __future__ import annotations

import base64
import math
from functools import cache
from pathlib import Path
from typing import Any

from isal import igzip
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

STATIC = Path(__file__).parent / "static"


def render_text(source: str, **values: Any) -> Markup:
    """Fill a template given as text; every value is escaped unless it is `Markup`."""
    return Markup(_template(source).render(**values))


def static(name: str) -> str:
    """Text of a file of `report/static`."""
    return (STATIC / name).read_text(encoding="utf-8")


def viewer_bundle() -> str | None:
    """The viewer's script, None in a source tree where it was not built."""
    path = Path(__file__).parent / "_bundle" / "viewer.js"
    return path.read_text(encoding="utf-8") if path.exists() else None


@cache
def packed_text(text: str) -> str:
    """Text gzipped, as base64."""
    return base64.b64encode(igzip.compress(text.encode(), compresslevel=3, mtime=0)).decode()


def number(value: Any, digits: int = 3) -> str:
    """A number with so many significant digits, "–" for what is undefined, text as it is."""
    if value is None or isinstance(value, bool):
        return "–" if value is None else ("yes" if value else "no")
    if not isinstance(value, (int, float)):
        try:
            value = float(value)
        except (TypeError, ValueError):
            return str(value)
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as an address that lies inside the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@cache
def _template(source: str) -> Template:
    return _environment().from_string(source)


@cache
def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    return environment
