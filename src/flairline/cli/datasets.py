"""`flairline datasets`, `datasets check` and `datasets fetch`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from flairline.cli.options import JobsOption, JsonOption
from flairline.cli.show import NOTHING_DONE, leave, print_table, progress_bar, say, say_failures

datasets_app = typer.Typer(help="What data sets are known; what is missing in a folder; get one.")


@datasets_app.callback(invoke_without_command=True)
def datasets(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the data sets that flairline reads, with scans, licence and address.

    Example: [bold]flairline datasets[/bold]
    """
    if context.invoked_subcommand is not None:
        return
    from flairline.cases import catalogue as listing

    rows = listing.rows()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif sys.stdout.isatty():
        print_table("Data sets", list(rows[0]), [list(row.values()) for row in rows])
    else:
        for row in rows:
            typer.echo("\t".join(row.values()))


@datasets_app.command("check")
def datasets_check(
    name: Annotated[str, typer.Argument(help="A data set (flairline datasets).")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The unpacked folder, or one below it.")],
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """What was found, what is missing, what is odd, file by file, and the next step.

    Example: [bold]flairline datasets check mslub open_ms_data[/bold]
    """
    from dataclasses import asdict

    from flairline.cases import catalogue as listing
    from flairline.cases.check import check
    from flairline.io.files import json_text

    dataset = listing.on_disk(name, folder)
    with progress_bar() as progress:
        result = check(dataset, jobs, progress)
    if as_json:
        typer.echo(json_text({**asdict(result), "folder": str(result.folder)}))
    else:
        lines = [[finding.kind, finding.scan, finding.file, finding.what] for finding in result.findings]
        if lines:
            print_table(f"{dataset.title} in {folder}", ["", "scan", "file", "what"], lines)
        expected = f" of {result.expected}" if result.expected else ""
        note = f" ({dataset.scans_note})" if dataset.scans_note else ""
        typer.echo(f"{result.usable}{expected} scans can be used{note}.")
        typer.echo(f"Next: {result.next_step}")
    leave(result.failed, result.there)
    if result.there == 0:
        raise typer.Exit(NOTHING_DONE)


@datasets_app.command("fetch")
def datasets_fetch(
    name: Annotated[str, typer.Argument(help="A data set (flairline datasets).")],
    folder: Annotated[Path, typer.Option("-o", "--out", help="Where it goes.")] = Path("datasets"),
    part: Annotated[str | None, typer.Option("--part", help="A part of the data set (mslub: MNI).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Get a data set where its licence allows it; elsewhere, say how a person gets it.

    Example: [bold]flairline datasets fetch mslub -o datasets[/bold]
    """
    from flairline.cases import catalogue as listing
    from flairline.cases.fetch import fetch
    from flairline.io.files import json_text

    files = listing.remote_files(name, part)
    failures, counts = {}, dict[str, int]()
    with progress_bar() as progress:
        for fetched in fetch(files, folder / name, progress):
            counts[fetched.status] = counts.get(fetched.status, 0) + 1
            if fetched.error is not None:
                failures[fetched.file.path] = fetched.error
    if as_json:
        typer.echo(json_text({"folder": str(folder / name), "files": counts, "failures": failures}))
    else:
        typer.echo(f"{folder / name}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    say_failures(failures)
    if failures:
        say("Run the same command again to go on; what is there is kept.")
    leave(len(failures), len(files))
