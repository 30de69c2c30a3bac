"""`flairline fit` for methods that learn from slices: healthy scans in, model folder out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader

from flairline.io.files import prepare_folder, write_json
from flairline.learning.card import COMPETITOR, Card, curve_rows, data_section, scans_table
from flairline.learning.data import TrainingData, healthy_quantiles
from flairline.learning.device import chosen_device
from flairline.learning.loop import Budget, Curve, steps_done, train
from flairline.learning.model import WEIGHTS, ModelFolder, fill
from flairline.learning.run import TrainingRun
from flairline.learning.slices.learner import SliceLearner
from flairline.learning.slices.presets import Training
from flairline.learning.slices.slice_cache import SliceStore, TrainingSlices, ValidationSlices, store_slices
from flairline.learning.slices.slices import SliceGrid

VALIDATION_BATCH = 32
SCORED_SLICES = 256
"""At most about so many held-out slices are scored for the threshold: restoration takes seconds a slice."""


@dataclass(frozen=True)
class _Parts:
    """Slices to learn from and slices to validate on, and how they were cut."""

    grid: SliceGrid
    training: list[SliceStore]
    validation: list[SliceStore]

    @property
    def count(self) -> int:
        """Slices to learn from."""
        return sum(store.count for store in self.training)


def fit_slices(method: SliceLearner, data: TrainingData, run: TrainingRun, grid: SliceGrid | None = None) -> None:
    """Train a slice-wise method and write its model folder; slices and checkpoints go into ``run.work``.

    Parameters
    ----------
    data
        Scans to learn from; every fifth patient, one at least, validates.
    run
        Its preset is "paper" (the published sizes and constants), "small" or "test"; its device "auto" is the method's.
    grid
        How slices are cut; None: the preset's size.

    Raises
    ------
    InputError
        No such preset, too few patients, a scan with lesions, or scans that cannot be read.
    ModelError
        The training to go on with is another one.
    """
    run.check_preset(method.presets)
    training, architecture = method.trainings[run.preset], method.architecture(run.preset)
    run = run.on(method.device)
    run = replace(run, device=chosen_device(run.device))
    prepare_folder(run.folder)
    parts = _cut(data, grid or SliceGrid(architecture.size), run)
    done = steps_done(run.work) if run.resume else 0
    run.note_setup(_setup(method, architecture, parts, run), done)
    lightning.seed_everything(run.seed + done, verbose=False)  # resumed, it draws other numbers than at first
    budget = _budget(training, parts.count, run.max_minutes)
    # Channels last: convolutions of few channels take .24 s a step in the place of .43 on one core (vae, small).
    network = method.network(architecture).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = method.objective(network, budget, training.learning_rate)
    count = budget.steps * training.batch  # all, also after resuming: Lightning stops after those that are left
    slices = TrainingSlices(parts.training, count, run.seed, done * training.batch)
    validating = DataLoader(ValidationSlices(parts.validation, training.validation_slices), VALIDATION_BATCH)
    state, curve = train(objective, DataLoader(slices, training.batch, drop_last=True), validating, run)
    method.settle(fill(objective.network, state, run.folder).to(run.device), parts.training, parts.validation)
    state = objective.network.state_dict()
    config = {
        "architecture": asdict(architecture),
        "grid": asdict(parts.grid),
        "preset": run.preset,
        "seed": run.seed,
        "training": _described(data, parts, curve),
        **_on_healthy(method, objective, parts.validation, training.validation_slices, run.device),
    }
    write_json(run.work / "curve.json", config["training"]["curve"])
    text = card(method.family, method.info.paper, config).render()
    ModelFolder(run.folder).write(method.family, {WEIGHTS: state}, config, text)


def _cut(data: TrainingData, grid: SliceGrid, run: TrainingRun) -> _Parts:
    return _Parts(grid, *(store_slices(part, grid, run.work / "slices", run) for part in data.split()))


def _setup(method: SliceLearner, architecture: Any, parts: _Parts, run: TrainingRun) -> dict[str, Any]:
    """What must stay as it is for a training to go on."""
    seen = [store.source.voxels_sha256 for store in (*parts.training, *parts.validation)]
    about = {"method": method.family, "preset": run.preset, "seed": run.seed}
    return {**about, **asdict(architecture), **asdict(parts.grid), "scans": seen}


def _described(data: TrainingData, parts: _Parts, curve: Curve) -> dict[str, Any]:
    """What config.json says under ``training``."""
    return {
        "scans": [store.source.plain() for store in parts.training],
        "validation_scans": [store.source.plain() for store in parts.validation],
        "slices": parts.count,
        "lesion_free_slices": data.lesion_free_slices,
        "licences": list(data.licences),
        "seconds": curve.seconds,
        "steps": curve.last_step,
        "curve": {"steps": curve.steps, "values": curve.values},
        "best": curve.best,
    }


def _budget(training: Training, slices: int, max_minutes: float) -> Budget:
    epoch = math.ceil(slices / training.batch)
    steps = max(1, min(training.steps, training.epochs * epoch))
    validate_every = max(1, min(training.validate_every, epoch if training.epochs < 10**9 else steps, steps))
    return Budget(steps, max_minutes, validate_every, training.patience, training.schedule)


def _on_healthy(
    method: SliceLearner, objective: Any, stores: Sequence[SliceStore], most: int, device: str
) -> dict[str, Any]:
    """Reconstruction error and quantiles of the score on about `most` held-out healthy slices, 256 at most."""
    network = objective.network.to(device).eval()
    errors, scores, pixels = 0.0, [], 0
    for store in (store for store in stores if store.count):  # scan by scan: some scores are scaled over the scan
        slices = ValidationSlices([store], math.ceil(min(most, SCORED_SLICES) / len(stores)))
        images, brains = next(iter(DataLoader(slices, batch_size=len(slices))))
        images, brains = images.to(device), brains.to(device)
        inside = int(brains.sum())
        errors, pixels = errors + float(objective.l1((images, brains))) * inside, pixels + inside
        score, _ = method.score_slices(network, images, brains)
        scores.append(score[brains > 0].detach().float().cpu())
    quantiles = healthy_quantiles(method.name, torch.cat(scores).numpy())
    known = {} if math.isnan(errors) else {"l1_healthy": errors / pixels}  # not every method reconstructs
    return {**known, "healthy_quantiles": quantiles}


def card(family: str, paper: str, config: Mapping[str, Any]) -> Card:
    """The model card from what config.json says."""
    training, side = config["training"], config["grid"]["size"]
    best = training["best"]
    chosen = (
        "No validation came about before the budget ended; the weights are the last ones."
        if best is None or best != best
        else f"The weights are those of the best validation value, {best:.4f}."
    )
    error = ""
    if "l1_healthy" in config:
        value = config["l1_healthy"]
        error = f"\nReconstruction error on the held-out slices: {value:.4f} a brain pixel (images are in [0, 1])."
    return Card(
        family,
        about=(
            f"After {paper}.\nIt learned what axial FLAIR slices of {side} x {side} pixels look like and scores what it"
            " does not\nexpect. No lesion label was used in training."
        ),
        intended_use=COMPETITOR,
        data=data_section(training, f"{training['slices']} slices"),
        training=(
            f"Preset {config['preset']}, seed {config['seed']}, {training['steps']} steps in\n"
            f"{training['seconds']:.0f} seconds. {chosen}{error}"
        ),
        curve=curve_rows(training["curve"]["steps"], training["curve"]["values"]),
        sources=scans_table(training),
    )
