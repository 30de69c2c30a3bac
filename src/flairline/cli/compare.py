"""`flairline compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flairline.cli.options import JsonOption, OpenOption
from flairline.cli.show import print_table, say, show_page

if TYPE_CHECKING:
    from flairline.report.comparison import Comparison


def command(
    earlier: Annotated[Path, typer.Argument(metavar="EARLIER", help="Folder of the finished earlier visit.")],
    later: Annotated[Path, typer.Argument(metavar="LATER", help="Folder of the finished later visit.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the page, tables and images.")],
    earlier_flair: Annotated[
        Path | None, typer.Option("--earlier-flair", help="The FLAIR that EARLIER was made of, where it has moved.")
    ] = None,
    later_flair: Annotated[
        Path | None, typer.Option("--later-flair", help="The FLAIR that LATER was made of, where it has moved.")
    ] = None,
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Two visits of one patient -> new, enlarging, stable, shrinking and resolved lesions, on one page.

    Takes folders of flairline segment (results/sub-1) or of flairline bids (OUT/sub-01/ses-1).

    Example: [bold]flairline compare OUT/sub-01/ses-1 OUT/sub-01/ses-2 -o changes[/bold]
    """
    from flairline.cohort.compare import compare
    from flairline.cohort.finished import read_finished
    from flairline.io.files import prepare_folder
    from flairline.report.build import SCAN_PAGE

    visits = read_finished(earlier, earlier_flair), read_finished(later, later_flair)
    prepare_folder(out)
    compared = compare(*visits)
    compared.save(out)
    if as_json:
        typer.echo((out / "comparison.json").read_text(encoding="utf-8").rstrip())
    else:
        _print(compared.comparison)
    show_page(out / SCAN_PAGE, open_page, as_json)


def _print(found: Comparison) -> None:
    """Lesions by what became of them, and what can be believed."""
    from flairline.report.templates import number

    lines = [
        [kind, str(total.lesions), number(total.earlier_ml), number(total.later_ml)]
        for kind, total in found.kinds.items()
        if total.lesions
    ]
    whole = [found.earlier.lesion_volume_ml, found.later.lesion_volume_ml]
    lines.append(["all", str(sum(total.lesions for total in found.kinds.values())), *map(number, whole)])
    print_table(f"{found.earlier.name} -> {found.later.name}", ["lesions", "number", "earlier ml", "later ml"], lines)
    if found.verdict == "unknown":
        say(found.stability)
    else:
        typer.echo(
            f"Change: {found.change_ml:+.3g} ml: {found.verdict} (the smallest to believe is"
            f" {number(found.smallest_change_ml)} ml)."
        )
    if found.note:
        typer.echo(f"Mind: the volume is {found.note}.")
    for note in found.notes:
        say(f"flairline: LOOK AT {note}")
    typer.echo("Research use only, not for diagnosis.")
