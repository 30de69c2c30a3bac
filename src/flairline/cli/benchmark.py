"""`flairline benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flairline.cli.inputs import cases_of_datasets, cases_of_table, seen_and_allowed, without_failed
from flairline.cli.judging import judge
from flairline.cli.options import (
    CasesOption,
    ErrorsOption,
    JobsOption,
    JsonOption,
    OpenOption,
    PagesOption,
    RegistrationOption,
    SeedOption,
    VerdictsOption,
)
from flairline.errors import InputError


def command(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for rows.csv, tables, figures and manifest.json.")],
    cases: CasesOption = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", metavar="NAME=DIR", help="A data set on disk; repeatable.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", help="Methods or recipes, METHOD=MODEL for a trained one; repeatable."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            help="experiment-1, experiment-2, native, baur or sound; repeatable. Default: sound, with --dataset"
            " experiment-1 and experiment-2.",
        ),
    ] = None,
    brain: Annotated[str, typer.Option("--brain", help="Of raw scans: auto, deepbet, robex, hdbet or none.")] = "auto",
    registration: RegistrationOption = "greedy",
    atlas: Annotated[
        str | None, typer.Option("--atlas", help="sri24 or a file: where scans go that a protocol wants on SRI24.")
    ] = None,
    bias: Annotated[bool, typer.Option("--bias/--no-bias", help="Correct the FLAIR's bias field (N4).")] = False,
    work: Annotated[
        Path | None, typer.Option("-w", "--work", help="Keep preprocessing steps here (default: OUT/preprocess).")
    ] = None,
    controls: Annotated[
        bool | None,
        typer.Option("--controls/--no-controls", help="Run the trivial methods too. Default: with --dataset."),
    ] = None,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Turn one field of the protocol after the other: what is each worth?")
    ] = False,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="COLUMN", help="Break figures down by this column of the cases; repeatable."),
    ] = None,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Judge a model on patients it was trained on, too; rows are marked.")
    ] = False,
    errors: ErrorsOption = False,
    jobs: JobsOption = 1,
    seed: SeedOption = 0,
    keep_maps: Annotated[
        bool, typer.Option("--keep-maps", help="Keep OUT/work, to judge the same maps again.")
    ] = False,
    verdicts: VerdictsOption = None,
    pages: PagesOption = "some",
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Methods x data sets x protocols -> rows.csv, the paper's tables and figures, manifest.json.

    Example: [bold]flairline benchmark --dataset mslub=DIR --method histeq -o OUT[/bold]
    """
    from flairline import recipes
    from flairline.benchmarking.controls import names as controls_of
    from flairline.benchmarking.plan import Plan
    from flairline.benchmarking.source import RecipeSource
    from flairline.evaluation import protocols as known
    from flairline.preprocess.settings import preprocess_settings

    if bool(dataset) == (cases is not None):
        msg = "Wanted --cases CASES.csv or --dataset NAME=DIR, one of the two. See flairline benchmark --help."
        raise InputError(msg)
    names = list(method or ["default"])
    if controls if controls is not None else bool(dataset):
        names += [name for name in controls_of() if name not in names]
    prepare = preprocess_settings(brain, "t1", registration, atlas or "mni", bias)
    found, incomplete = cases_of_datasets(dataset) if dataset else (cases_of_table(cases), {})  # type: ignore[arg-type]
    sources = []
    for recipe in map(recipes.load, names):
        seen = seen_and_allowed(recipe, found, allow_seen)
        sources.append(RecipeSource(recipe, atlas, work or out / "preprocess", prepare, seen))
    protocols = protocol or (["experiment-1", "experiment-2"] if dataset else ["sound"])
    kept, left_out = without_failed(found, verdicts)
    plan = Plan(
        kept,
        sources,
        [known.load(name) for name in protocols],
        out,
        jobs,
        seed,
        ablate=ablate,
        keep_scores=keep_maps,
        incomplete=incomplete,
        left_out=left_out,
        by=tuple(by or ()),
        errors=errors,
    )
    judge(plan, pages, open_page, as_json)
