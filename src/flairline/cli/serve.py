"""`flairline serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flairline.cli.options import OpenOption


def command(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of segment or benchmark.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8377,
    open_page: OpenOption = False,
) -> None:
    """Serve the pages on 127.0.0.1, saving verdicts at once to OUT/verdicts.json.

    Example: [bold]flairline serve results --open[/bold]
    """
    from flairline.report.serve import Server

    server = Server(out, port)
    typer.echo(f"{server.address} serves {out} to this machine only; stop it with Ctrl+C.")
    if open_page:
        import webbrowser

        webbrowser.open(server.address)
    server.run()
