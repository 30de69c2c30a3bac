"""What a command prints, and the exit code it leaves with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from flairline.types import no_progress

if TYPE_CHECKING:
    from flairline.benchmarking.rows import Row
    from flairline.executor import Outcome
    from flairline.segmentation import Done
    from flairline.types import Case, Progress

SOME_FAILED, NOTHING_DONE, STOPPED = 1, 2, 130


def say(line: str) -> None:
    typer.echo(" ".join(line.split()), err=True)


def say_failures(failures: dict[str, str]) -> None:
    if len(failures) > 1:
        say(f"flairline: {len(failures)} failed:")
    for scan, reason in failures.items():
        say(f"{'flairline: ' if len(failures) == 1 else '  '}{scan}: {reason}")


def leave(failed: int, total: int) -> None:
    """Exit with 1 if some inputs failed, 2 if all did."""
    if failed:
        raise typer.Exit(NOTHING_DONE if failed >= total else SOME_FAILED)


def show_page(page: Path | None, open_page: bool, quiet: bool) -> None:
    """Say where the page is, and open it if asked to."""
    if page is None or not page.exists():
        return
    if not quiet:
        typer.echo(f"Page: {page}")
    if open_page:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            say("No browser was found here. Open the page's file in one.")


def page_or_reason(out: Path, make: Callable[[], Path | None]) -> tuple[Path | None, str]:
    """The page that `make` writes; where it cannot, that is said, with the traceback of a fault in OUT/logs."""
    from flairline import executor
    from flairline.io.logs import with_log

    (outcome,) = executor.run(lambda _: make(), [out])
    error = with_log(outcome, out, "index").error or "" if outcome.error is not None else ""
    if error:
        say(f"flairline: no page of all scans: {error}")
    return outcome.result, error


def print_rows(rows: list[Row]) -> None:
    from flairline.benchmarking.rows import COHORT

    cohort = [row for row in rows if row.subject == COHORT]
    if not cohort:
        return
    for protocol in dict.fromkeys(row.protocol for row in cohort):
        lines = [
            [
                row.dataset,
                _method_of(row),
                row.metric,
                f"{row.value:.4f}",
                f"{row.low:.4f} to {row.high:.4f}",
                str(row.n),
            ]
            for row in cohort
            if row.protocol == protocol
        ]
        title = f"Cohorts by the protocol {protocol} (oracle: chosen on the labels it is judged by)"
        print_table(title, ["data set", "method", "metric", "value", "95 % interval", "scans"], lines)


def _method_of(row: Row) -> str:
    return f"{row.method} (has seen these patients)" if row.seen else row.method


def print_segmented(outcomes: Sequence[Outcome[Case, Done]], as_json: bool) -> None:
    from flairline.io.files import json_text

    done = [outcome.result for outcome in outcomes if outcome.result is not None]
    failures = {outcome.item.subject: outcome.error for outcome in outcomes if outcome.error is not None}
    if as_json:
        typer.echo(json_text({"subjects": [finished.summary.to_json() for finished in done], "failures": failures}))
        say_failures(failures)
        return
    lines = []
    for finished in done:
        summary = finished.summary
        cut = summary.threshold
        threshold = f"{cut.value:.4g} ({cut.rule})" if cut is not None else "?"
        volume = f"{summary.lesion_volume_ml:.2f}" if summary.lesion_volume_ml is not None else "?"
        status = "was there already" if finished.kept else "done"
        subject = summary.subject or finished.folder.name
        lines.append([subject, volume, str(summary.n_lesions), threshold, status, str(finished.folder)])
    if lines:
        columns = ["subject", "volume ml", "lesions", "threshold", "status", "folder"]
        print_table(f"Segmented with {done[0].summary.recipe}", columns, lines)
    for finished in done:
        for flag in (finished.summary.qc.flags or ()) if finished.summary.qc is not None else ():
            say(f"flairline: LOOK AT {finished.summary.subject}: {flag.words}.")
    for note in sorted({finished.summary.note for finished in done if finished.summary.note}):
        typer.echo(f"Mind: the volume is {note}.")
    if done:
        typer.echo("Research use only, not for diagnosis.")
    say_failures(failures)


def print_table(title: str, columns: list[str], lines: list[list[str]]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), box=SIMPLE, title_justify="left")
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    # A pipe or a log has no width; nothing must be cut there.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def plain_row(row: Row) -> dict[str, Any]:
    from dataclasses import asdict

    return {key: None if value != value else value for key, value in asdict(row).items()}


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on a terminal, nothing in a log."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    import rich.progress
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with rich.progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


@contextmanager
def resumable() -> Iterator[None]:
    """A training that is stopped does not go on by itself."""
    try:
        yield
    except KeyboardInterrupt:
        say("flairline: stopped. Run the same command with --resume to go on.")
        raise SystemExit(STOPPED) from None
