"""`flairline evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flairline.cli.judging import judge
from flairline.cli.options import (
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
    from flairline.benchmarking import judge as judging
    from flairline.cases.table import CaseTable

    table = CaseTable(cases)
    if not {"score", "mask"} & set(table.columns()):
        msg = f"{cases}, line 1: wanted a column 'score' or 'mask', found {', '.join(table.columns())}. Add one."
        raise InputError(msg)
    judged = table.cases(required=("truth",))
    judge(judged, [judging.FileMaps(name)], [protocol], out, jobs, seed, verdicts, pages, open_page, as_json)
