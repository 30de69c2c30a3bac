"""Calibrate a trained U-Net and write its model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flairline.learning.calibration import Judged, calibrate
from flairline.learning.card import Card, Table, curve_rows, lines, row
from flairline.learning.loop import Curve, has_bf16
from flairline.learning.model import WEIGHTS, ModelFolder
from flairline.learning.volumes.sizes import Inlets, Size
from flairline.learning.volumes.unet import build, held_out, lesion_logits
from flairline.synthesis.training import Z_RANGE


@dataclass(frozen=True)
class Trained:
    """A training that has ended.

    Attributes
    ----------
    state
        The network's weights.
    held
        Held-out synthetic scans, by their stems.
    sources
        File name -> sha256 of all that the scans were made from.
    start
        Configurations of the models whose mean the training started from; none: it started from nothing.
    """

    state: Mapping[str, torch.Tensor]
    size: Size
    curve: Curve
    held: Sequence[Path]
    sources: Mapping[str, str]
    uses_patients_shapes: bool
    seed: int
    start: Sequence[Mapping[str, Any]] = ()


def write_model(model: ModelFolder, method: str, trained: Trained) -> None:
    """Calibrate on the held-out synthetic scans and write weights, configuration and card."""
    size, curve = trained.size, trained.curve
    inlets = Inlets(size.t1, size.placed)
    network = build(size.features, size.folded, inlets)
    network.load_state_dict(trained.state)
    network.eval()
    judged = [_judge(network, inlets, stem, number) for number, stem in enumerate(trained.held)]
    config = {
        "size": asdict(size),
        "seed": trained.seed,
        "lesion_shapes": "uses lesion shapes of other patients" if trained.uses_patients_shapes else "random",
        "training": {"seconds": curve.seconds, "steps": curve.steps, "validation": curve.values, "best": curve.best},
        "sources": dict(trained.sources),
        "started_from": [{key: config.get(key) for key in ANCESTOR} for config in trained.start],
        "calibration": calibrate(judged, np.random.default_rng(trained.seed)),
    }
    model.write(method, {WEIGHTS: trained.state}, config, card(method, config).render())


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


def _judge(network: torch.nn.Module, inlets: Inlets, stem: Path, number: int) -> Judged:
    seen, truth = held_out(stem, number)
    logits = lesion_logits(network, seen, torch.device("cpu"), has_bf16(), inlets)
    return Judged(logits, truth, seen.image > Z_RANGE[0])


def card(method: str, config: Mapping[str, Any]) -> Card:
    """The model card from what config.json says."""
    size = config["size"]
    folded = ", folded: eight voxels of 1 mm are channels of one of 2 mm" if size.get("folded") else ""
    training = config["training"]
    return Card(
        method,
        about=(
            f"A 3-D residual U-Net (MONAI, features {list(size['features'])}{folded}) that\ngives each voxel of a"
            " skull-stripped FLAIR its probability of lesion. It was trained on synthesised scans only and has\nnever"
            " seen a scan of a person."
        ),
        intended_use=(
            "Research: a first mask of hyperintense lesions (multiple sclerosis, small vessel disease, glioma,\n"
            "infarcts) to look at and correct. Not a medical device, not for diagnosis."
        ),
        data=_data(config),
        training=_history(config),
        curve=curve_rows(training["steps"], training["validation"]) if training["steps"] else None,
        further=(_calibration(config["calibration"]), WEAK_ON),
        sources=Table(
            "Sources",
            "sha256",
            ("file", "sha256"),
            tuple(row(name, value) for name, value in config["sources"].items()),
        ),
    )


TEMPLATE = "One more anatomy was the average brain in nilearn's wheel (MNI152 2009a: grey and white matter, no skull)."
RAISED = "A scan whose largest expected Dice, by its own probabilities, is more than twice that is cut at half of it."
WEAK_ON = (
    "**Weak on.** Dark lesions and cavities, tumour cores as bright as grey matter, lesions below .1 ml wherever they"
    " lie\n(cortical and juxtacortical ones above all), averages of many scans. Scans after surgery were not measured."
)


def _data(config: Mapping[str, Any]) -> str:
    size = config["size"]
    many = f"{size['scans']} scans" if size["scans"] else "Scans"
    text = (
        f"{many} synthesised from whole-head label maps: deformed, random contrast around FLAIR's, bias,\n"
        f"noise, thick slices, residual skull, drawn lesions. Lesion shapes: {config['lesion_shapes']}. The label maps"
        " were\ndistributed under Apache-2.0; the terms of the people whose anatomy they show are not stated there. Two"
        " label maps were\nheld out for validation and calibration."
    )
    return lines([text, TEMPLATE if size.get("template") else ""])


def _history(config: Mapping[str, Any]) -> str:
    """How the weights came about: minutes, models before them."""
    training, start = config["training"], "\n".join(ancestors(config))
    if not training["steps"]:
        return f"No step: the weights are the mean of those of these models.\n\n{start}"
    before = f"\nIt started from the mean of these models:\n\n{start}\n\n" if start else ""
    minutes, batch = f"{training['seconds'] / 60:.1f} minutes", config["size"]["batch"]
    return (
        f"{minutes}, seed {config['seed']}, batches of {batch} crops of 96 mm.\n{before}The weights are those of the"
        " last step. Validation (one minus Dice, lesion-free scans by false-positive volume):"
    )


def _calibration(calibration: Mapping[str, Any]) -> str:
    rows = (
        row(f"{found['predicted']:.2f}", f"{found['observed']:.2f}", found["count"])
        for found in calibration["lesion_reliability"]
    )
    return "\n".join(
        [
            f"**Calibration.** On {calibration['scans']} synthetic scans of the held-out heads: threshold",
            f"{calibration['threshold']:.2f} with a mean Dice of",
            f"{calibration['mean_dice']:.3f} there.",
            *([RAISED] if calibration.get("raises") else []),
            "How often a found lesion was one, on these scans:\n",
            "| predicted | observed | lesions |\n|---|---|---|\n" + "\n".join(rows),
        ]
    )
