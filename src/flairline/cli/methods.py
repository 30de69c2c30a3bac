"""`flairline methods`."""

from __future__ import annotations

import json
import sys

import typer

from flairline.cli.options import JsonOption
from flairline.cli.show import print_table


def command(as_json: JsonOption = False) -> None:
    """List every method with its paper, training and cost.

    Example: [bold]flairline methods[/bold]
    """
    from flairline import recipes

    rows = recipes.listing()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif sys.stdout.isatty():
        print_table("Methods", list(rows[0]), [list(row.values()) for row in rows])
    else:
        for row in rows:
            typer.echo("\t".join(row.values()))
