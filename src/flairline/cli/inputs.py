"""From what a user names on the command line to cases, recipes and training data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flairline.cli.show import say
from flairline.errors import InputError

MOST_SAID = 5
"""Lines about files that come twice; a data set may have one for each scan."""


def cases_of_table(path: Path) -> list[Any]:
    from flairline.cases.table import CaseTable

    return CaseTable(path).cases()


def cases_of_datasets(datasets: list[str], need_truth: bool = True) -> tuple[list[Any], dict[str, str]]:
    """Cases of all data sets NAME=DIR, and what had to be left out, with reasons."""
    from flairline.cases import catalogue as listing

    cases: list[Any] = []
    left_out: dict[str, str] = {}
    for text in datasets:
        name, equals, folder = text.partition("=")
        if not equals or not folder:
            msg = f"Wanted --dataset NAME=DIR (mslub=open_ms_data), got {text!r}. Names: flairline datasets."
            raise InputError(msg)
        dataset = listing.on_disk(name, Path(folder))
        cases += dataset.cases() if need_truth else dataset.scans()
        left_out.update(dataset.left_out() if need_truth else {})
        several = dataset.several()
        for line in several[:MOST_SAID]:
            say(line)
        if len(several) > MOST_SAID:
            say(f"{name}: {len(several) - MOST_SAID} more files come twice; flairline datasets check {name} names all.")
    return cases, left_out


def with_model(method: str, model: Path | None) -> str:
    """METHOD, or METHOD=MODEL."""
    if model is None:
        return method
    if "=" in method:
        msg = f"The method {method!r} names a model already. Leave out --model {model}."
        raise InputError(msg)
    return f"{method}={model}"


def seen_and_allowed(recipe: Any, cases: list[Any], allowed: bool) -> frozenset[str]:
    """Cases of patients that the recipe's model was trained on; that must be allowed."""
    from flairline.benchmarking.seen import seen_cases

    seen = seen_cases(recipe, cases)
    if seen and not allowed:
        shown = ", ".join(seen[:4]) + (" ..." if len(seen) > 4 else "")
        msg = (
            f"The model {recipe.model} has seen the patients of {len(seen)} of {len(cases)} scans ({shown}), and no"
            " model is judged on what it was trained on. Leave them out, give another model, or add --allow-seen,"
            " which marks the rows."
        )
        raise InputError(msg)
    return frozenset(seen)


def without_failed(cases: list[Any], verdicts: Path | None) -> tuple[list[Any], list[str]]:
    """Cases that no verdict failed, and the names of those that one did."""
    if verdicts is None:
        return cases, []
    from flairline.report import verdicts as reading

    given = reading.read(verdicts)
    kept, left_out = reading.without_failed(cases, given)
    if strangers := reading.of_no_case(cases, given):
        shown = ", ".join(strangers[:5]) + (" ..." if len(strangers) > 5 else "")
        say(f"flairline: {verdicts} also names {len(strangers)} that are not judged here: {shown}.")
    if not kept:
        msg = f"Wanted at least one case, but {verdicts} fails all {len(left_out)}. Give another table."
        raise InputError(msg)
    return kept, left_out
