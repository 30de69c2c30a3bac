"""`flairline fit`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flairline.cli.inputs import cases_of_datasets, cases_of_table
from flairline.cli.options import CasesOption
from flairline.cli.show import leave, progress_bar, resumable, say_failures
from flairline.errors import InputError

if TYPE_CHECKING:
    from flairline.types import Case


def command(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method that can be trained.")],
    scans: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SCANS...", help="What it learns from: healthy FLAIRs, or label maps (flairline methods)."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The model folder to write.")] = Path("flairline-model"),
    cases: CasesOption = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", metavar="NAME=DIR", help="A data set on disk; repeatable.")
    ] = None,
    lesion_free_slices: Annotated[
        bool, typer.Option("--lesion-free-slices", help="Learn from patients' slices without lesions by the truths.")
    ] = False,
    brain: Annotated[str, typer.Option("--brain", help="Of raw scans: auto, deepbet, robex, hdbet or none.")] = "auto",
    max_minutes: Annotated[float, typer.Option("--max-minutes", min=0.01, help="Stop training after this.")] = 60.0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    preset: Annotated[
        str, typer.Option("--preset", help="Size of the network and of its training: small, paper (slice-wise), ...")
    ] = "small",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder.")] = False,
    start: Annotated[
        list[Path] | None,
        typer.Option("--start", help="Model folder to start from; of several the mean (label maps)."),
    ] = None,
    shapes: Annotated[
        list[Path] | None,
        typer.Option("--shape", help="Lesion mask of another patient to synthesise from (label maps); repeat."),
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            "--unlabelled",
            metavar="CASES.csv",
            help="Real scans to learn from what the model to start from is sure of (label maps); truths are not read.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
) -> None:
    """Train a method on healthy scans and write a model folder. No lesion label is ever learned from.

    Example: [bold]flairline fit vae healthy/*.nii.gz -o MODEL --max-minutes 60[/bold]
    """
    from flairline.learning.run import TrainingRun
    from flairline.training import LABEL_MAPS, Material, checked_method, train_model

    learns_from = checked_method(method).info.learns_from
    if [bool(scans), cases is not None, bool(dataset)].count(True) != 1:
        msg = "Wanted scans, --cases TABLE or --dataset NAME=DIR, one of the three. See flairline fit --help."
        raise InputError(msg)
    material = Material(
        scans=scans or (),
        label_maps=scans or (),
        shapes=shapes or (),
        unlabelled=() if unlabelled is None else cases_of_table(unlabelled),
        lesion_free_slices=lesion_free_slices,
        brain=brain,
    )
    failed: dict[str, str] = {}
    run = TrainingRun(
        out,
        preset,
        max_minutes,
        device,
        resume,
        seed,
        start=tuple(start or ()),
        show_progress=sys.stderr.isatty(),
        left_out=failed.__setitem__,
    )
    try:
        if learns_from == LABEL_MAPS:  # it draws its own progress bar
            with resumable():
                train_model(method, run, material)
        else:
            with progress_bar() as progress, resumable():
                found = _cases(cases, dataset, lesion_free_slices)
                train_model(method, replace(run, progress=progress), replace(material, cases=found))
    finally:  # also where too few were left
        say_failures(failed)
    typer.echo(f"Model: {out}. Use it with --method {method} --model {out}.")
    leave(len(failed), len(failed) + 1)


def _cases(table: Path | None, datasets: list[str] | None, lesion_free_slices: bool) -> list[Case]:
    """Cases of a table or of data sets; none if neither is named."""
    if table is not None:
        return cases_of_table(table)
    # Healthy people have no truths; of a patient without one nobody knows which slices are free of lesions.
    found, left_out = cases_of_datasets(datasets or [], need_truth=lesion_free_slices)
    say_failures(left_out)
    return found
