"""`flairline evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flairline.cli.inputs import without_failed
from flairline.cli.judging import judge
from flairline.cli.options import (
    ErrorsOption,
    JobsOption,
    JsonOption,
    OpenOption,
    PagesOption,
    ProtocolOption,
    SeedOption,
    VerdictsOption,
)
from flairline.errors import InputError


def command(
    cases: Annotated[Path, typer.Argument(metavar="CASES.csv", help="Table of cases with a column score or mask.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for rows.csv.")] = Path("flairline-evaluate"),
    protocol: ProtocolOption = "sound",
    name: Annotated[str, typer.Option("--name", help="What to call the maps in the column method.")] = "files",
    errors: ErrorsOption = False,
    jobs: JobsOption = 1,
    seed: SeedOption = 0,
    verdicts: VerdictsOption = None,
    pages: PagesOption = "some",
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Judge maps that another program made, by the same code.

    Example: [bold]flairline evaluate maps.csv --protocol sound -o OUT[/bold]
    """
    from flairline.benchmarking.plan import Plan
    from flairline.benchmarking.source import FileSource
    from flairline.cases.table import CaseTable
    from flairline.evaluation import protocols as known

    table = CaseTable(cases)
    if not {"score", "mask"} & set(table.columns()):
        msg = f"{cases}, line 1: wanted a column 'score' or 'mask', found {', '.join(table.columns())}. Add one."
        raise InputError(msg)
    kept, left_out = without_failed(table.cases(required=("truth",)), verdicts)
    plan = Plan(kept, [FileSource(name)], [known.load(protocol)], out, jobs, seed, left_out=left_out, errors=errors)
    judge(plan, pages, open_page, as_json)
