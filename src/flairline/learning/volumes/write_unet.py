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
from flairline.learning.model import WEIGHTS, ModelFolder, Source
from flairline.learning.volumes.sizes import SIZES, Inlets, Size
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
    device
        Where the calibration looks at the held-out scans.
    minutes
        The budget that the training was given.
    seen
        Real scans, without labels, that were learned from.
    candidates
        Held-out scans of which `held` look most like those real ones; as many as `held` where none were left out.
    """

    state: Mapping[str, torch.Tensor]
    size: Size
    curve: Curve
    held: Sequence[Path]
    sources: Mapping[str, str]
    uses_patients_shapes: bool
    seed: int
    start: Sequence[Mapping[str, Any]] = ()
    device: str = "cpu"
    minutes: float = 0.0
    seen: Sequence[Source] = ()
    candidates: int = 0


def write_model(model: ModelFolder, method: str, trained: Trained) -> None:
    """Calibrate on the held-out synthetic scans and write weights, configuration and card."""
    size, curve = trained.size, trained.curve
    inlets = Inlets(size.t1, size.placed)
    network = build(size.features, size.folded, inlets)
    network.load_state_dict(trained.state)
    device = torch.device(trained.device)
    network.eval().to(device)
    judged = [_judge(network, inlets, device, stem, number) for number, stem in enumerate(trained.held)]
    config = {
        "size": asdict(size),
        "seed": trained.seed,
        "lesion_shapes": "uses lesion shapes of other patients" if trained.uses_patients_shapes else "random",
        "training": {
            "seconds": curve.seconds,
            "steps": curve.steps,
            "validation": curve.values,
            "best": curve.best,
            "scans": scans_seen(trained),
        },
        "sources": dict(trained.sources),
        "started_from": [{key: config.get(key) for key in ANCESTOR} for config in trained.start],
        "calibration": calibrate(judged, np.random.default_rng(trained.seed))
        | {"candidates": max(trained.candidates, len(trained.held))},
    }
    config["command"] = _command(method, trained)
    state = {name: _stored(tensor, size.half) for name, tensor in trained.state.items()}
    model.write(method, {WEIGHTS: state}, config, card(method, config).render())


def scans_seen(trained: Trained) -> list[dict[str, str]]:
    """Real scans that the training or one of those before it learned from, each once, as plain values."""
    found = [scan.plain() for scan in trained.seen]
    for config in trained.start:
        found += [scan for scan in config["training"].get("scans", ()) if scan not in found]
    return found


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    return tensor.half() if half and tensor.is_floating_point() else tensor


def _command(method: str, trained: Trained) -> str:
    """What anyone can type to make such a model again; a model is called by its preset and seed."""
    started = [f"--start {_named(config)}" for config in trained.start]
    shapes = ["--shape SHAPES..."] if trained.uses_patients_shapes else []
    preset = next((name for name, size in SIZES.items() if size == trained.size), "other")
    budget = [f"--max-minutes {trained.minutes:g}"] if trained.size.steps else []
    real = ["--unlabelled CASES.csv"] if trained.seen else []
    name = [f"-o {preset}-{trained.seed}", f"--preset {preset}"]
    words = [*name, *started, *shapes, *real, f"--seed {trained.seed}", *budget]
    return f"flairline fit {method} LABELS... {' '.join(words)}"


def _named(config: Mapping[str, Any]) -> str:
    """The folder that a model's command wrote; one of before commands were noted has no such name."""
    command = config.get("command")
    return str(command).split(" -o ")[1].split()[0] if command else f"{EARLIER}-{config['seed']}"


def _earlier(config: Mapping[str, Any]) -> list[str]:
    """Models that the commands start from and that no command makes, known by the hash of their weights."""
    found = []
    for model in _models(config.get("started_from")):
        if model.get("command"):
            found += [line for line in _earlier(model) if line not in found]
        else:
            line = f"{_named(model)} has the weights {model.get('weights_sha256', 'of a hash that was not noted')}"
            found += [line] if line not in found else []
    return found


def recipe(config: Mapping[str, Any]) -> list[str]:
    """The commands that make a model, first to last; models of before they were noted are not made again by any."""
    commands: list[str] = []
    for model in _models(config.get("started_from")):
        commands += [command for command in recipe(model) if command not in commands]
    return [*commands, config["command"]] if config.get("command") else commands


def _models(started_from: Any) -> list[Mapping[str, Any]]:
    """Models that a training started from; one alone was written without a list once."""
    return [started_from] if isinstance(started_from, Mapping) else list(started_from or [])


EARLIER = "EARLIER"
"""What a model is called whose command was not noted."""
ANCESTOR = ("size", "seed", "training", "started_from", "command", "weights_sha256")
"""What a configuration keeps of the models that the training started from, and they of theirs."""


def ancestors(config: Mapping[str, Any], depth: int = 0, listed: list[Any] | None = None) -> list[str]:
    """Lines of a nested list: the models that a training started from (the mean of several), and theirs below them.

    One that is in the list already is named again, without those below it.
    """
    listed = [] if listed is None else listed
    lines = []
    for model in _models(config.get("started_from")):
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


def _judge(network: torch.nn.Module, inlets: Inlets, device: torch.device, stem: Path, number: int) -> Judged:
    seen, truth = held_out(stem, number)
    logits = lesion_logits(network, seen, device, has_bf16(), inlets)
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
            f" skull-stripped FLAIR its probability of lesion. {_learned_from(training)}"
            f"{_inlets_in_words(Inlets.of(size))}"
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


PLACED = (
    "\nIt is told where in the atlas MNI152 a voxel lies, what tissue is usual there, and how bright the other side is."
)
TEMPLATE = "One more anatomy was the average brain in nilearn's wheel (MNI152 2009a: grey and white matter, no skull)."
RAISED = (
    "A scan whose largest expected Dice, by its own probabilities, is more than twice that is cut at half of it; nearer"
    " to\nthe fixed threshold the deeper the mask is, and at it where a mass is 12 mm deep."
)
WEAK_ON = (
    "**Weak on.** Dark lesions and cavities, tumour cores as bright as grey matter, lesions below .1 ml wherever they"
    " lie\n(cortical and juxtacortical ones above all), averages of many scans. Scans after surgery were not measured."
)


def _inlets_in_words(inlets: Inlets) -> str:
    """What the network takes beside the FLAIR."""
    t1 = "\nWhere there is a T1 it is looked at, too." if inlets.t1 else ""
    return t1 + (PLACED if inlets.placed else "")


def _data(config: Mapping[str, Any]) -> str:
    size = config["size"]
    many = f"{size['scans']} scans" if size["scans"] else "Scans"
    text = (
        f"{many} synthesised from whole-head label maps: deformed, random contrast around FLAIR's, bias,\n"
        f"noise, thick slices, residual skull, drawn lesions. Lesion shapes: {config['lesion_shapes']}. The label maps"
        " were\ndistributed under Apache-2.0; the terms of the people whose anatomy they show are not stated there. Two"
        " label maps were\nheld out for validation and calibration."
    )
    return lines([text, TEMPLATE if size.get("template") else "", _real(config["training"])])


def _learned_from(training: Mapping[str, Any]) -> str:
    if training.get("scans"):
        return (
            "It was trained on synthesised scans and on\nreal ones without labels, and has never seen a lesion that a"
            " person drew."
        )
    return "It was trained on synthesised scans only and has\nnever seen a scan of a person."


def _real(training: Mapping[str, Any]) -> str:
    """What was learned from real scans; empty where there are none."""
    seen = training.get("scans")
    if not seen:
        return ""
    named = ", ".join(sorted({f"{scan['dataset']} {scan['subject']}".strip() for scan in seen}))
    return (
        f"{len(seen)} real scans without labels: a quarter of the crops show them, and the truth is what the model that"
        f"\nthe training started from was sure of; where it was not, nothing is learned. They are {named}."
    )


def _history(config: Mapping[str, Any]) -> str:
    """How the weights came about: minutes, models before them."""
    training, start = config["training"], "\n".join(ancestors(config))
    again = _again(config)
    if not training["steps"]:
        return f"No step: the weights are the mean of those of these models.\n\n{start}{again}"
    before = f"\nIt started from the mean of these models:\n\n{start}\n\n" if start else ""
    minutes, batch = f"{training['seconds'] / 60:.1f} minutes", config["size"]["batch"]
    return (
        f"{minutes}, seed {config['seed']}, batches of {batch} crops of 96 mm.\n{before}The weights are those of the"
        f" last step.{again} Validation (one minus Dice, lesion-free scans by false-positive volume):"
    )


def _again(config: Mapping[str, Any]) -> str:
    """The commands that make the model again; none in folders of before they were noted."""
    commands = recipe(config)
    if not commands:
        return ""
    shown = "\n".join(f"    {command}" for command in commands)
    made = "this command" if len(commands) == 1 else "these commands"
    earlier = "".join(f"\n{line}." for line in _earlier(config))
    return f"\n\nMade by {made}, and made again by the same:\n\n{shown}\n{earlier}\n"


def _picked(calibration: Mapping[str, Any]) -> str:
    """Of how many they were picked; empty where all were taken."""
    candidates = calibration.get("candidates", calibration["scans"])
    if candidates == calibration["scans"]:
        return ""
    return f" (of {candidates}, those that look most like the real scans without labels)"


def _calibration(calibration: Mapping[str, Any]) -> str:
    rows = (
        row(f"{found['predicted']:.2f}", f"{found['observed']:.2f}", found["count"])
        for found in calibration["lesion_reliability"]
    )
    return "\n".join(
        [
            f"**Calibration.** On {calibration['scans']} synthetic scans of the held-out heads{_picked(calibration)}:",
            f"threshold {calibration['threshold']:.2f} with a mean Dice of",
            f"{calibration['mean_dice']:.3f} there.",
            *([RAISED] if calibration.get("raises") else []),
            "How often a found lesion was one, on these scans:\n",
            "| predicted | observed | lesions |\n|---|---|---|\n" + "\n".join(rows),
        ]
    )
