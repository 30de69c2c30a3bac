"""`flairline fit` for methods that learn from slices: healthy scans in, model folder out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import torch
from torch.utils.data import DataLoader

from flairline.errors import InputError, ModelError
from flairline.io.files import prepare_folder, write_json
from flairline.learning.data import TrainingData, healthy_quantiles
from flairline.learning.loop import Budget, steps_done, train
from flairline.learning.model import fill, save_model
from flairline.learning.networks.autoencoders import Architecture
from flairline.learning.slices.slice_cache import SliceStore, TrainingSlices, ValidationSlices, store_slices
from flairline.learning.slices.slice_card import card
from flairline.learning.slices.slice_method import chosen_device
from flairline.learning.slices.slices import SliceGrid

if TYPE_CHECKING:
    from flairline.learning.slices.slice_method import SliceMethod

VALIDATION_BATCH = 32
SETUP = "setup.json"
SCORED_SLICES = 256
"""At most about so many held-out slices are scored for the threshold: restoration takes seconds a slice."""


@dataclass(frozen=True)
class Training:
    """A preset's training. `epochs` or `steps`, whichever ends first; validations come once an epoch or more often."""

    batch: int
    learning_rate: float
    schedule: str
    epochs: int
    steps: int
    validate_every: int
    patience: int
    validation_slices: int = 256


TRAININGS = {
    "paper": Training(8, 1e-4, "constant", 1000, 10**9, 10**9, 5, 10**9),
    "small": Training(16, 1e-3, "cosine", 10**9, 20_000, 100, 40),
    "test": Training(4, 3e-3, "cosine", 10**9, 40, 20, 40, 16),
}
"""`paper`: Baur et al. 2021 (methods' constants, five epochs of patience; the best weights are kept, not the last).
`small`: two cores and a few minutes."""


def fit_slices(
    method: SliceMethod,
    healthy: TrainingData,
    folder: Path,
    preset: str = "small",
    max_minutes: float = 60.0,
    device: str | None = None,
    resume: bool = False,
    seed: int = 0,
    progress: bool = False,
    grid: SliceGrid | None = None,
    licences: Sequence[str] = (),
    say: Callable[[str, int, int], None] | None = None,
) -> None:
    """Train a slice-wise method and write its model folder; slices and checkpoints go into ``folder/training``.

    Parameters
    ----------
    healthy
        Scans to learn from; every fifth patient, one at least, validates.
    preset
        "paper" (the published sizes and constants), "small" or "test".
    max_minutes
        Budget of the training, without the cutting of the slices; a resumed training's earlier minutes count.
    device
        auto, cpu, cuda or mps; None: the method's.
    grid
        How slices are cut; None: the preset's size.
    licences
        What is known of the terms of the training data, for the card.

    Raises
    ------
    InputError
        No such preset, too few patients, a scan with lesions, or scans that cannot be read.
    """
    if preset not in TRAININGS or preset not in method.architectures:
        known = ", ".join(name for name in TRAININGS if name in method.architectures)
        msg = f"No preset is called {preset!r}. Known: {known}."
        raise InputError(msg)
    training, architecture = TRAININGS[preset], Architecture(**method.architectures[preset])
    if method.legacy_affine_norm:
        architecture = replace(architecture, norm="affine")
    device = chosen_device(device or method.device)
    grid = grid or SliceGrid(architecture.size)
    work = prepare_folder(folder) / "training"
    parts = [store_slices(part, grid, work / "slices", say) for part in healthy.split()]
    done = steps_done(work) if resume else 0
    same = {"method": method.family, "preset": preset, "seed": seed, **asdict(architecture), **asdict(grid)}
    scans = {"scans": [source.voxels_sha256 for part in parts for source in (store.source for store in part)]}
    _note_setup(work / SETUP, {**same, **scans}, done)
    lightning.seed_everything(seed + done, verbose=False)  # what is drawn after resuming is not what was drawn at first
    budget = _budget(training, sum(store.count for store in parts[0]), max_minutes)
    # Channels last: convolutions of few channels take .24 s a step in the place of .43 on one core (vae, small).
    network = method.network(architecture).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = method.objective(network, budget, training.learning_rate)
    count = budget.steps * training.batch  # all, also after resuming: Lightning stops after those that are left
    validating = DataLoader(ValidationSlices(parts[1], training.validation_slices), batch_size=VALIDATION_BATCH)
    state, curve = train(
        objective,
        DataLoader(
            TrainingSlices(parts[0], count, seed, done * training.batch), batch_size=training.batch, drop_last=True
        ),
        validating,
        work,
        resume,
        device,
        progress,
    )
    fill(objective.network, state, folder)
    config = {
        "architecture": asdict(architecture),
        "grid": asdict(grid),
        "preset": preset,
        "seed": seed,
        "training": {
            "scans": _sources(parts[0]),
            "validation_scans": _sources(parts[1]),
            "slices": sum(store.count for store in parts[0]),
            "lesion_free_slices": healthy.lesion_free_slices,
            "licences": list(licences),
            "seconds": curve.seconds,
            "steps": curve.last_step,
            "curve": {"steps": curve.steps, "values": curve.values},
            "best": curve.best,
        },
        **_on_healthy(method, objective, parts[1], training.validation_slices, device),
    }
    write_json(work / "curve.json", config["training"]["curve"])
    save_model(folder, method.family, state, config, card(method.family, method.info.paper, config))


def _note_setup(path: Path, setup: dict[str, Any], done: int) -> None:
    """Note what is trained on what; a training that goes on must be the same one.

    Raises
    ------
    InputError
        It is another one.
    ModelError
        The note is broken.
    """
    try:
        before = dict(json.loads(path.read_text(encoding="utf-8"))) if done and path.exists() else setup
    except (OSError, TypeError, ValueError) as error:
        msg = f"{path} is broken, so the training cannot go on. Begin again without --resume."
        raise ModelError(msg) from error
    changed = [name for name in setup if before.get(name) != setup[name]]
    if changed:
        msg = (
            f"The training in {path.parent} is another one ({', '.join(changed)} changed), so it cannot go on. Give"
            " what it was begun with, another folder, or leave out --resume to begin again."
        )
        raise InputError(msg)
    write_json(path, setup)


def _budget(training: Training, slices: int, max_minutes: float) -> Budget:
    epoch = math.ceil(slices / training.batch)
    steps = max(1, min(training.steps, training.epochs * epoch))
    validate_every = max(1, min(training.validate_every, epoch if training.epochs < 10**9 else steps, steps))
    return Budget(steps, max_minutes, validate_every, training.patience, training.schedule)


def _sources(stores: Sequence[SliceStore]) -> list[dict[str, str]]:
    return [asdict(store.source) for store in stores]


def _on_healthy(
    method: SliceMethod, objective: Any, stores: Sequence[SliceStore], most: int, device: str
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
    return {"l1_healthy": errors / pixels, "healthy_quantiles": quantiles}
