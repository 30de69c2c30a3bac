"""What the paper printed (Meissen et al. 2021), and what our data sets are called in it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from flairline import registry
from flairline.io.tables import read_lines

TABLES = Path(__file__).with_name("published") / "tables.csv"
DATASETS = ("BraTS", "MSLUB", "WMH", "MSSEG2015")
"""In the paper's order."""


@lru_cache(maxsize=1)
def values() -> dict[tuple[str, str, str, str], float]:
    """(table, method, data set, metric) -> the published value; table 4 is "4-I" and "4-II"."""
    _, rows = read_lines(TABLES)
    return {(row["table"], row["method"], row["dataset"], row["metric"]): float(row["value"]) for row in rows}


def dataset_name(dataset: str) -> str:
    """What the paper calls a data set of ours; the data set's own name where the paper did not use it."""
    return fact(dataset, "published_as", "") or dataset


def fact(dataset: str, what: str, otherwise: Any) -> Any:
    """What a data set's plug-in says of its release, `otherwise` where it says nothing or there is no plug-in."""
    is_known = dataset in registry.names("datasets")
    return getattr(registry.load("datasets", dataset), what, otherwise) if is_known else otherwise


def of_published(dataset: str, n: int) -> str:
    """How many scans of the published cohort there are, in words."""
    n_published = fact(dataset, "n_published", 0)
    return f"{n} of {n_published}" if n_published else str(n)
