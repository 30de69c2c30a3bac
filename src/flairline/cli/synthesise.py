"""`flairline synthesise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flairline.cli.options import JsonOption
from flairline.cli.show import leave, progress_bar, say_failures


def command(
    labels: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[LABELS...]", help="Label maps of heads (FreeSurfer's numbers, 1 mm). None: the atlas on board."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The BIDS folder to write.")] = Path("flairline-people"),
    count: Annotated[int, typer.Option("-n", "--number", min=1, help="How many people.")] = 20,
    lesion_free: Annotated[
        bool, typer.Option("--lesion-free", help="Healthy people. Else each has lesions, and their truth.")
    ] = False,
    t1: Annotated[bool, typer.Option("--t1/--no-t1", help="Write a T1 beside each FLAIR.")] = True,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random: the same bytes again.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes to work in.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Scans of nobody: FLAIR and T1 of synthetic people as a BIDS folder, healthy or with lesions and their truths.

    Example: [bold]flairline synthesise -n 200 --lesion-free -o healthy[/bold]
    """
    from flairline.cases.people import People, synthesise_people
    from flairline.io.files import json_text

    people = People(out, tuple(labels or ()), not lesion_free, t1, seed)
    with progress_bar() as progress:
        made = synthesise_people(people, count, jobs, progress)
    if as_json:
        typer.echo(json_text({"folder": out, "people": list(made.names), "failures": made.failed}))
    elif made.names:
        kind = "healthy people" if lesion_free else "people with lesions"
        use = f"flairline fit METHOD --dataset bids={out} -o MODEL"
        if not lesion_free:
            use = f"flairline benchmark --dataset bids={out} --method default --protocol sound -o OUT"
        typer.echo(f"{len(made.names)} {kind} in {out}; README says what they are. Use them: {use}")
    say_failures(made.failed)
    leave(len(made.failed), count)
