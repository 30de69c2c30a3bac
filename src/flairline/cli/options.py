"""Options that several commands share, each with its words said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CasesOption = Annotated[
    Path | None, typer.Option("--cases", help="Table of cases (CSV): dataset,subject,flair,t1,t2,brain,truth.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes to work in.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print machine-readable results instead of tables.")]
ProtocolOption = Annotated[
    str, typer.Option("--protocol", help="experiment-1, experiment-2, native (as published), baur or sound.")
]
StripOption = Annotated[str, typer.Option("--strip-on", help="Take the brain from the t1 or from the flair.")]
RegistrationOption = Annotated[str, typer.Option("--registration", help="greedy, or dipy (the paper's engine).")]
AtlasOption = Annotated[str, typer.Option("--atlas", help="mni, sri24, or a skull-stripped T1 as a file.")]
OpenOption = Annotated[bool, typer.Option("--open", help="Open the page in the browser at the end.")]
VerdictsOption = Annotated[
    Path | None, typer.Option("--verdicts", help="Verdicts saved from a page; what failed is left out.")
]
PagesOption = Annotated[
    str,
    typer.Option(
        "--pages",
        help="A page of each scan: all, none, or some: the 3 best and the 3 worst of each method and data set,"
        " everything flagged, every outlier.",
    ),
]
ErrorsOption = Annotated[
    bool,
    typer.Option("--errors", help="Say where the Dice goes: OUT/errors with tables and pictures of the worst places."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the bootstrap intervals.")]
