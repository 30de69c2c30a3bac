"""Scans by a further column (age, sex, site, scanner): numbers in bins of round width, words by value."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

UNKNOWN = "n/a"
MOST_GROUPS = 12
"""A column of more words than these says something of scans, not of groups of them."""
NUMBERS_BY_VALUE = 5
"""A column of so few different numbers holds codes, and is taken by value."""
BINS = 5
"""About so many bins of numbers."""
STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Split:
    """One column's groups.

    Attributes
    ----------
    groups
        Label -> places of the scans, in the order of a table; none where the column is left out.
    left_out
        Why there are no groups, in words; empty where there are.
    bins
        How numbers were put in bins, in words; empty for words.
    """

    column: str
    groups: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    left_out: str = ""
    bins: str = ""


def split(column: str, values: Sequence[str]) -> Split:
    """The groups of the scans with these values; what is empty or n/a is a group of its own, the last.

    Left out are columns with one value, and with more than `MOST_GROUPS` words, or with more words (but two) than half
    as many as scans.
    """
    known = [value.strip() for value in values]
    known = [UNKNOWN if value.lower() in ("", "n/a", "nan", "none") else value for value in known]
    distinct = set(known) - {UNKNOWN}
    if len(set(known)) < 2:
        return Split(column, left_out=f"it says the same of every scan ({known[0] if known else UNKNOWN})")
    numbers = {value: _number(value) for value in distinct}
    if len(distinct) > NUMBERS_BY_VALUE and all(not math.isnan(number) for number in numbers.values()):
        return _binned(column, known, numbers)
    known_count = sum(value != UNKNOWN for value in known)
    most = min(MOST_GROUPS, max(2, known_count // 2))
    if len(distinct) > most:
        return Split(
            column, left_out=f"{len(distinct)} different values in {known_count} scans (at most {most} are shown)"
        )
    by_value: dict[str, list[int]] = defaultdict(list)
    for place, value in enumerate(known):
        by_value[value].append(place)
    ordered = sorted(by_value, key=lambda value: (value == UNKNOWN, numbers.get(value, math.nan), value))
    if any(math.isnan(number) for number in numbers.values()):
        ordered = sorted(by_value, key=lambda value: (value == UNKNOWN, value))
    return Split(column, {value: tuple(by_value[value]) for value in ordered})


def bin_edges(low: float, high: float) -> list[float]:
    """Edges of about `BINS` bins of one round width (1, 2 or 5 times a power of ten) that hold both; low < high."""
    rough = (high - low) / BINS
    power = 10.0 ** math.floor(math.log10(rough))
    width = next(step * power for step in STEPS if step * power >= rough * (1 - 1e-9))
    first = math.floor(low / width + 1e-9)
    last = math.floor(high / width + 1e-9) + 1  # the last bin holds the highest value
    return [number * width for number in range(first, last + 1)]


def _binned(column: str, known: Sequence[str], numbers: Mapping[str, float]) -> Split:
    edges = bin_edges(min(numbers.values()), max(numbers.values()))
    width = edges[1] - edges[0]
    labels = [f"{low:g} to <{high:g}" for low, high in itertools.pairwise(edges)]
    groups: dict[str, list[int]] = {label: [] for label in (*labels, UNKNOWN)}
    for place, value in enumerate(known):
        # Edges are products of a width, which rounding may put a little above the number that they stand for.
        inside = int(np.digitize(numbers.get(value, edges[0]) + 1e-9 * width, edges)) - 1
        groups[UNKNOWN if value == UNKNOWN else labels[inside]].append(place)
    words = f"bins of {width:g} from {edges[0]:g} to {edges[-1]:g}, each without its upper end"
    return Split(column, {label: tuple(places) for label, places in groups.items() if places}, bins=words)


def _number(value: str) -> float:
    """The number that a cell holds; NaN for none."""
    try:
        number = float(value)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
