"""What `benchmark` and `evaluate` do alike: judge, write, print, leave with the right exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from flairline.cli.inputs import without_failed
from flairline.cli.show import NOTHING_DONE, leave, plain_row, print_rows, progress_bar, say, say_failures, show_page


def judge(
    cases: list[Any],
    maps: list[Any],
    protocols: list[str],
    out: Path,
    jobs: int,
    seed: int,
    verdicts: Path | None,
    pages: str,
    open_page: bool,
    as_json: bool,
    keep_maps: bool = False,
    incomplete: dict[str, str] | None = None,
    ablate: bool = False,
) -> None:
    """Run every method, write everything, print the cohorts' rows, leave with the right exit code.

    `incomplete` are scans of a data set that lack a file, with reasons: they count as failed.
    """
    import shutil

    from flairline.benchmarking import judge as judging
    from flairline.benchmarking import run as experiments
    from flairline.evaluation import protocols as known
    from flairline.io.files import prepare_folder
    from flairline.report import collect, judged

    wanted_pages = judged.checked_pages(pages)
    chosen = [known.load(protocol) for protocol in protocols]
    cases, left_out = without_failed(cases, verdicts)
    incomplete = incomplete or {}
    prepare_folder(out)
    settings = experiments.Settings(out, jobs, seed, ablate)
    with progress_bar() as progress:
        done = experiments.run(cases, maps, chosen, settings, progress)
    rows = [row for result in done.results for row in result.rows]
    failures = {**incomplete, **done.failures}
    if failures and not rows:  # results of an earlier run, if there are any, stay as they are
        say_failures(failures)
        raise typer.Exit(NOTHING_DONE)
    # The page draws one protocol's curves and pictures: the first one's.
    of_first = [result for result in done.results if result.protocol == chosen[0]]
    collect.keep_details(out, of_first, chosen[0], left_out)
    with progress_bar() as progress:
        pageless = judged.write_pages(out, of_first, maps, chosen[0], wanted_pages, jobs=jobs, progress=progress)
    for scan, reason in pageless.items():
        say(f"flairline: no page of {scan}: {reason}")
    if not keep_maps:
        shutil.rmtree(out / "work", ignore_errors=True)
    parameters = {**done.parameters, "left_out": left_out}
    judging.write_manifest(out / "manifest.json", cases, parameters, done.results, incomplete)
    if as_json:
        plain = {"rows": [plain_row(row) for row in rows], "failures": failures, "left_out": left_out}
        typer.echo(json.dumps(plain, indent=2))
    else:
        print_rows(rows)
        without = sorted({scan for result in done.results for scan in result.without_truth})
        if without:
            typer.echo(f"Without a truth, so not judged: {', '.join(without)}")
        if left_out:
            typer.echo(f"Left out by verdict: {len(left_out)} of {len(left_out) + len(cases)}: {', '.join(left_out)}")
        typer.echo(f"All rows: {out / 'rows.csv'}")
        for what, path in done.written.items():
            typer.echo(f"{what}: {path}")
    show_page(collect.write_cohort(out), open_page, as_json)
    say_failures(failures)
    leave(len(failures), len(cases) + len(incomplete))
