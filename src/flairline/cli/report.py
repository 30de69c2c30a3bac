"""`flairline report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flairline.cli.options import OpenOption
from flairline.cli.show import leave, page_or_reason, say, show_page
from flairline.errors import InputError


def command(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder of segment or benchmark; with --corrected of one scan.")
    ],
    verdicts: Annotated[
        Path | None, typer.Option("--verdicts", help="Verdicts saved from a page; they are shown and kept.")
    ] = None,
    corrected: Annotated[
        Path | None,
        typer.Option("--corrected", help="A mask that a person corrected: OUT's scan is measured anew with it."),
    ] = None,
    open_page: OpenOption = False,
) -> None:
    """Write the page of all results again, and volumes.tsv, reading back the viewers' verdicts or a corrected mask.

    Example: [bold]flairline report results --verdicts verdicts.json[/bold]
    """
    from flairline.report import collect
    from flairline.report.volumes import write_volumes

    if not out.is_dir():
        msg = f"Wanted a folder with results, but there is none at {out}. Name the folder given to -o."
        raise InputError(msg)

    if corrected is not None:
        if verdicts is not None:
            msg = "Wanted --corrected or --verdicts, got both. Give one after the other."
            raise InputError(msg)
        show_page(_correct(out, corrected), open_page, False)
        return

    def write() -> Path:
        write_volumes(out)
        return collect.write_cohort(out, verdicts)

    page, why_none = page_or_reason(out, write)
    show_page(page, open_page, False)
    leave(bool(why_none), 1)


def _correct(out: Path, corrected: Path) -> Path | None:
    """Measure the one scan of OUT anew, then write the page and the table of all. Returns the scan's page, if any."""
    from flairline.cohort.corrected import folder_of, write_corrected
    from flairline.report import collect
    from flairline.report.build import COHORT_PAGE, SCAN_PAGE
    from flairline.report.volumes import VOLUMES, write_volumes

    folder = folder_of(out)
    found, removed = write_corrected(folder, corrected)
    before = found.summary.corrected.volume_before_ml if found.summary.corrected is not None else None
    was = "" if before is None else f" (segmented: {before:.3g} ml)"
    say(f"{folder.name}: {found.mask.volume_ml:.3g} ml in {found.summary.n_lesions} lesions, as corrected{was}.")
    if removed:
        say(f"Removed, because they held the mask of before: {', '.join(removed)}.")
    if (folder.parent / VOLUMES).exists():
        write_volumes(folder.parent)
    if (folder.parent / COHORT_PAGE).exists():
        collect.write_cohort(folder.parent)
    page = folder / SCAN_PAGE
    return page if page.exists() else None
