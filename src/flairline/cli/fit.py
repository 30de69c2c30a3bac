"""`flairline fit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from flairline.cli.inputs import training_data
from flairline.cli.options import CasesOption
from flairline.cli.show import progress_bar, resumable
from flairline.errors import InputError


def command(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A method that can be trained.")],
    scans: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SCANS...", help="What it learns from: healthy FLAIRs; label maps for synthetic_unet."),
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
        typer.Option("--start", help="Model folder to start from; of several the mean (synthetic_unet)."),
    ] = None,
    shapes: Annotated[
        list[Path] | None,
        typer.Option("--shape", help="Lesion mask of another patient to synthesise from (synthetic_unet); repeat."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
) -> None:
    """Train a method on healthy scans and write a model folder. No lesion label is ever learned from.

    Example: [bold]flairline fit vae healthy/*.nii.gz -o MODEL --max-minutes 60[/bold]
    """
    import dataclasses

    from flairline import registry

    chosen = registry.load("methods", method)()
    if not hasattr(chosen, "train"):
        msg = f"The method {method} needs no training. Use it at once: flairline segment --method {method}."
        raise InputError(msg)
    if [bool(scans), cases is not None, bool(dataset)].count(True) != 1:
        msg = "Wanted scans, --cases TABLE or --dataset NAME=DIR, one of the three. See flairline fit --help."
        raise InputError(msg)
    if device not in ("auto", "cpu") and not hasattr(chosen, "device"):
        msg = f"{method} learns on the CPU alone, but --device {device} was given. Leave it out."
        raise InputError(msg)
    if device != "auto" and hasattr(chosen, "device"):
        chosen = dataclasses.replace(chosen, device=device)
    options: dict[str, Any] = {"preset": preset, "max_minutes": max_minutes, "resume": resume, "seed": seed}
    options["progress"] = sys.stderr.isatty()
    if chosen.learns_from == "label maps":
        if not scans or lesion_free_slices:
            msg = f"{method} learns from label maps. Name their files: flairline fit {method} LABELS... -o MODEL."
            raise InputError(msg)
        with resumable():
            chosen.train(scans, out, shapes=shapes or (), start=start or (), **options)
    else:
        if shapes or start:
            msg = f"--shape and --start are for synthetic_unet, and {method} learns from scans. Leave them out."
            raise InputError(msg)
        with progress_bar() as progress, resumable():
            data, licences = training_data(scans, cases, dataset, lesion_free_slices, brain, out)
            chosen.train(data, out, licences=licences, say=progress, **options)
    typer.echo(f"Model: {out}. Use it with --method {method} --model {out}.")
