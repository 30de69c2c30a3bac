"""`flairline report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flairline.cli.options import OpenOption
from flairline.cli.show import leave, page_or_reason, show_page
from flairline.errors import InputError


def command(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of segment or benchmark.")],
    verdicts: Annotated[
        Path | None, typer.Option("--verdicts", help="Verdicts saved from a page; they are shown and kept.")
    ] = None,
    open_page: OpenOption = False,
) -> None:
    """Write the page of all results again, and volumes.tsv, reading back the viewers' verdicts.

    Example: [bold]flairline report results --verdicts verdicts.json[/bold]
    """
    from flairline.report import collect
    from flairline.report.volumes import write_volumes

    if not out.is_dir():
        msg = f"Wanted a folder with results, but there is none at {out}. Name the folder given to -o."
        raise InputError(msg)

    def write() -> Path:
        write_volumes(out)
        return collect.write_cohort(out, verdicts)

    page, why_none = page_or_reason(out, write)
    show_page(page, open_page, False)
    leave(bool(why_none), 1)
