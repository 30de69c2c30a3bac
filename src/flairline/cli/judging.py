"""What `benchmark` and `evaluate` do alike: run, write, print, leave with the right exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flairline.cli.show import (
    NOTHING_DONE,
    leave,
    page_or_reason,
    plain_row,
    print_rows,
    progress_bar,
    say,
    say_failures,
    show_page,
)

if TYPE_CHECKING:
    from flairline.benchmarking.plan import Plan
    from flairline.benchmarking.run import Finished


def judge(plan: Plan, pages: str, open_page: bool, as_json: bool) -> None:
    """Run a plan, write its pages, print the cohorts' rows, leave with the right exit code."""
    from flairline.benchmarking.run import run
    from flairline.io.files import json_text
    from flairline.report.benchmark import write_benchmark
    from flairline.report.judged import checked_pages

    wanted_pages = checked_pages(pages)
    with progress_bar() as progress:
        finished = run(plan, progress)
    if finished.nothing_done:
        say_failures(finished.failures)
        raise typer.Exit(NOTHING_DONE)
    pageless: dict[str, str] = {}

    def write() -> Path:
        with progress_bar() as progress:
            written = write_benchmark(finished, wanted_pages, progress)
        pageless.update(written.pageless)
        return written.page

    page, why_none = page_or_reason(plan.out, write)
    for scan, reason in pageless.items():
        say(f"flairline: no page of {scan}: {reason}")
    for what, reason in finished.unwritten.items():
        say(f"flairline: {what} could not be written: {reason}")
    if as_json:
        plain = {
            "rows": [plain_row(row) for row in finished.rows],
            "failures": finished.failures,
            "doubts": finished.doubts,
        }
        typer.echo(json_text({**plain, "left_out": list(plan.left_out)}))
    else:
        _print(finished)
    show_page(page, open_page, as_json)
    for scan, reason in finished.doubts.items():
        say(f"flairline: LOOK AT {scan}: contrast: {reason}.")
    say_failures(finished.failures)
    amiss = len(pageless) + len(finished.unwritten) + bool(why_none)
    leave(len(finished.failures) + amiss, len(plan.cases) + len(plan.incomplete) + amiss)


def _print(finished: Finished) -> None:
    plan, left_out = finished.plan, finished.plan.left_out
    print_rows(finished.rows)
    if finished.without_truth:
        typer.echo(f"Without a truth, so not judged: {', '.join(finished.without_truth)}")
    if left_out:
        n_given = len(left_out) + len(plan.cases)
        typer.echo(f"Left out by verdict: {len(left_out)} of {n_given}: {', '.join(left_out)}")
    typer.echo(f"All rows: {plan.out / 'rows.csv'}")
    for what, path in finished.written.items():
        typer.echo(f"{what}: {path}")
