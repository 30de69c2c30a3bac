"""What `benchmark` and `evaluate` do alike: run, write, print, leave with the right exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from flairline.cli.show import NOTHING_DONE, leave, plain_row, print_rows, progress_bar, say, say_failures, show_page

if TYPE_CHECKING:
    from flairline.benchmarking.plan import Plan
    from flairline.benchmarking.run import Finished


def judge(plan: Plan, pages: str, open_page: bool, as_json: bool) -> None:
    """Run a plan, write its pages, print the cohorts' rows, leave with the right exit code."""
    from flairline.benchmarking.run import run
    from flairline.report.benchmark import write_benchmark
    from flairline.report.judged import checked_pages

    wanted_pages = checked_pages(pages)
    with progress_bar() as progress:
        finished = run(plan, progress)
    if finished.nothing_done:
        say_failures(finished.failures)
        raise typer.Exit(NOTHING_DONE)
    with progress_bar() as progress:
        written = write_benchmark(finished, wanted_pages, progress)
    for scan, reason in written.pageless.items():
        say(f"flairline: no page of {scan}: {reason}")
    if as_json:
        plain = {
            "rows": [plain_row(row) for row in finished.rows],
            "failures": finished.failures,
            "doubts": finished.doubts,
        }
        typer.echo(json.dumps({**plain, "left_out": list(plan.left_out)}, indent=2))
    else:
        _print(finished)
    show_page(written.page, open_page, as_json)
    for scan, reason in finished.doubts.items():
        say(f"flairline: LOOK AT {scan}: contrast: {reason}.")
    say_failures(finished.failures)
    leave(len(finished.failures), len(plan.cases) + len(plan.incomplete))


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
