"""Calibrate a trained `synthetic_unet` and write its model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flairline.learning.calibration import Judged, calibrate
from flairline.learning.loop import Curve, has_bf16
from flairline.learning.model import save_model
from flairline.learning.volumes.unet import Size, build, lesion_logits, size_as_config
from flairline.synthesis.scan_store import read_scan
from flairline.synthesis.training import Z_RANGE


def write_model(
    folder: Path,
    state: Mapping[str, torch.Tensor],
    size: Size,
    curve: Curve,
    held: Sequence[Path],
    sources: Mapping[str, str],
    uses_patients_shapes: bool,
    seed: int,
    start: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Calibrate on the held-out synthetic scans and write weights, configuration and card.

    `start` are the configurations of the models whose mean the training started from; none: it started from nothing.
    """
    network = build(size.features, size.folded)
    network.load_state_dict(state)
    network.eval()
    calibration = calibrate([_judge(network, stem) for stem in held], np.random.default_rng(seed))
    config = {
        "size": dict(size_as_config(size)),
        "seed": seed,
        "lesion_shapes": "uses lesion shapes of other patients" if uses_patients_shapes else "random",
        "training": {"seconds": curve.seconds, "steps": curve.steps, "validation": curve.values, "best": curve.best},
        "sources": dict(sources),
        "started_from": [{key: model.get(key) for key in ANCESTOR} for model in start],
        "calibration": calibration,
    }
    save_model(folder, "synthetic_unet", state, config, card(config))


ANCESTOR = ("size", "seed", "training", "started_from")
"""What a configuration keeps of the models that the training started from, and they of theirs."""


def ancestors(config: Mapping[str, Any], depth: int = 0, listed: list[Any] | None = None) -> list[str]:
    """Lines of a nested list: the models that a training started from (the mean of several), and theirs below them.

    One that is in the list already is named again, without those below it.
    """
    listed = [] if listed is None else listed
    start = config.get("started_from") or []
    lines = []
    for model in [start] if isinstance(start, Mapping) else start:  # one alone: as written before there were several
        training, again = model["training"], ", as above" if model in listed else ""
        indent = "  " * depth + "- "
        if training["steps"]:
            lines.append(
                f"{indent}{model['size']['scans']} such scans, seed {model['seed']}, {training['steps'][-1]} steps in"
                f" {training['seconds'] / 60:.1f} minutes, validation {training['validation'][-1]:.4f} at the"
                f" end{again}"
            )
        else:
            lines.append(f"{indent}a mean without a step{again or ', of these:'}")
        if not again:
            listed.append(model)
            lines += ancestors(model, depth + 1, listed)
    return lines


def _history(config: Mapping[str, Any]) -> str:
    """How the weights came about: minutes, models before them, validation by step."""
    training, start = config["training"], "\n".join(ancestors(config))
    if not training["steps"]:
        return f"No step: the weights are the mean of those of these models.\n\n{start}"
    before = f"\nIt started from the mean of these models:\n\n{start}\n\n" if start else ""
    curve = "\n".join(
        f"| {step} | {value:.4f} |" for step, value in zip(training["steps"], training["validation"], strict=True)
    )
    minutes = f"{training['seconds'] / 60:.1f} minutes"
    return f"""{minutes}, seed {config["seed"]}, batches of {config["size"]["batch"]} crops of 96 mm.
{before}The weights are those of the last step. Validation (one minus Dice, lesion-free scans by false-positive volume):

| step | validation |
|---|---|
{curve}"""


def _judge(network: torch.nn.Module, stem: Path) -> Judged:
    image, truth = read_scan(stem)
    logits = lesion_logits(network, image, torch.device("cpu"), has_bf16())
    return Judged(logits, truth, image > Z_RANGE[0])


def card(config: Mapping[str, Any]) -> str:
    """The model card, Markdown."""
    calibration, size = config["calibration"], config["size"]
    hashes = "\n".join(f"| {name} | {value} |" for name, value in config["sources"].items())
    lesions = "\n".join(
        f"| {row['predicted']:.2f} | {row['observed']:.2f} | {row['count']} |"
        for row in calibration["lesion_reliability"]
    )
    many = f"{size['scans']} scans" if size["scans"] else "Scans"
    raised = (
        "A scan whose largest expected Dice, by its own probabilities, is more than twice that is cut at half of it.\n"
        if calibration.get("raises")
        else ""
    )
    folded = ", folded: eight voxels of 1 mm are channels of one of 2 mm" if size.get("folded") else ""
    template = (
        "One more anatomy was the average brain in nilearn's wheel (MNI152 2009a: grey and white matter, no skull).\n"
        if size.get("template")
        else ""
    )
    return f"""# synthetic_unet

A 3-D residual U-Net (MONAI, features {list(size["features"])}{folded}) that
gives each voxel of a skull-stripped FLAIR its probability of lesion. It was trained on synthesised scans only and has
never seen a scan of a person.

**Intended use.** Research: a first mask of hyperintense lesions (multiple sclerosis, small vessel disease, glioma,
infarcts) to look at and correct. Not a medical device, not for diagnosis.

**Data.** {many} synthesised from whole-head label maps: deformed, random contrast around FLAIR's, bias,
noise, thick slices, residual skull, drawn lesions. Lesion shapes: {config["lesion_shapes"]}. The label maps were
distributed under Apache-2.0; the terms of the people whose anatomy they show are not stated there. Two label maps were
held out for validation and calibration.
{template}
**Training.** {_history(config)}

**Calibration.** On {calibration["scans"]} synthetic scans of the held-out heads: threshold
{calibration["threshold"]:.2f} with a mean Dice of
{calibration["mean_dice"]:.3f} there.
{raised}How often a found lesion was one, on these scans:

| predicted | observed | lesions |
|---|---|---|
{lesions}

**Weak on.** Dark lesions and cavities, tumour cores as bright as grey matter, lesions below .1 ml wherever they lie
(cortical and juxtacortical ones above all), averages of many scans. Scans after surgery were not measured.

**Sources** (sha256).

| file | sha256 |
|---|---|
{hashes}
"""
