"""Where the Dice goes: ``python -m studies.errors CASES.csv --method default -o OUT [--against EARLIER/figures.csv]``.

Runs `flairline benchmark --errors` for any methods and tables of cases and prints the table; OUT/errors has its rows,
the pieces by region and size, and pictures of the worst places. With `--against` an earlier run's figures are taken
off, so that a change says which line it moves. `--maps` judges the column score or mask of the tables instead of a
method. Scores are kept in OUT/work: a second run judges them without scoring anything again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from flairline import recipes
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.rows import COHORT, Row
from flairline.benchmarking.run import run
from flairline.benchmarking.source import FileSource, MapSource, RecipeSource
from flairline.cases.table import CaseTable
from flairline.evaluation import protocols
from flairline.evaluation.errors import FIGURES
from flairline.io.tables import markdown_text, read_records


def change(now: Sequence[Row], before: Sequence[Row]) -> str:
    """The cohorts' figures of two runs as Markdown: a line a figure, "now (change)" for each method and data set.

    Cohorts are matched by data set and protocol; a method by its name or, where there is one in either run, as it is.
    """
    names = [{row.method for row in rows} for rows in (now, before)]
    alone = all(len(found) == 1 for found in names)
    known = {_key(row, alone): row.value for row in before if row.subject == COHORT}
    columns = list(dict.fromkeys((row.method, row.dataset) for row in now if row.subject == COHORT))
    cells: dict[tuple[str, tuple[str, str]], str] = {}
    for row in now:
        if row.subject == COHORT:
            digits = 1 if row.metric.endswith("_ml") else 3
            earlier = known.get(_key(row, alone), float("nan"))
            words = f"{row.value:.{digits}f} ({row.value - earlier:+.{digits}f})"
            cells[row.metric, (row.method, row.dataset)] = words
    lines = [[words, *(cells.get((name, column), "") for column in columns)] for name, words in FIGURES.items()]
    return markdown_text(["mean over the scans", *(f"`{method}` {dataset}" for method, dataset in columns)], lines)


def _key(row: Row, alone: bool) -> tuple[str, ...]:
    return (row.dataset, row.protocol, row.metric, *([] if alone else [row.method]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", metavar="CASES.csv")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--method", action="append", help="method or recipe, METHOD=MODEL; repeat (default: default)")
    parser.add_argument("--maps", metavar="NAME", help="judge the tables' columns score or mask, called NAME")
    parser.add_argument("--protocol", default="sound")
    parser.add_argument("--against", type=Path, metavar="FIGURES.csv", help="errors/figures.csv of an earlier run")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args(arguments)
    required = ("truth",) if given.maps else ("flair", "truth")
    cases = [case for table in given.tables for case in CaseTable(table).cases(required)]
    sources: list[MapSource] = [FileSource(given.maps)] if given.maps else []
    names = given.method or ([] if given.maps else ["default"])
    sources += [RecipeSource(recipes.load(name), cache=given.out / "preprocess") for name in names]
    by = [protocols.load(given.protocol)]
    finished = run(Plan(cases, sources, by, given.out, given.jobs, keep_scores=True, errors=True))
    folder = given.out / "errors"
    print((folder / "table.md").read_text(encoding="utf-8"))
    if given.against is not None:
        print("Change against", given.against, "\n")
        print(change(read_records(folder / "figures.csv", Row), read_records(given.against, Row)))
    for what, why in {**finished.failures, **finished.unwritten}.items():
        print(f"{what}: {why}")


if __name__ == "__main__":
    main()
