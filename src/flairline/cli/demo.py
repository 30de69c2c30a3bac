"""`flairline demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flairline.cli.show import print_rows, print_table, progress_bar

SHOWN = ("dice", "dice_oracle", "auprc", "false_positive_ml")
"""The metrics that are printed; rows.csv has all."""


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")] = Path("flairline-demo"),
    patients: Annotated[int, typer.Option("--patients", min=1, help="Phantoms to make.")] = 4,
    spacing_mm: Annotated[float, typer.Option("--spacing-mm", help="Voxel side of the phantoms: 1 or 2.")] = 2.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the phantoms.")] = 0,
) -> None:
    """The whole way on a synthetic cohort made on the spot: the best that is installed, and the paper's baseline.

    Example: [bold]flairline demo -o demo[/bold]
    """
    from flairline.report.demo import run

    with progress_bar() as progress:
        shown = run(out, patients, spacing_mm, seed, progress)
    print_rows([row for row in shown.rows if row.metric in SHOWN])
    print_table("Found, by kind of lesion", ["kind", "lesions", "found"], shown.found_by_kind)
    typer.echo(f"Segmented with {shown.recipe} ({shown.why}); brightest is the paper's baseline.")
    typer.echo(f"Look at:  {shown.cohort}")
    typer.echo("Pages:    " + ", ".join(str(path) for path in shown.pages))
    typer.echo("Pictures: " + ", ".join(str(path) for path in shown.pictures))
    typer.echo("Try your own: flairline segment FLAIR.nii.gz -o results --open")
