"""`flairline fit` for a mixture of tissues: scans with lesions in, model folder out. Their truths are not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flairline.errors import InputError, ModelError
from flairline.io.files import prepare_folder, write_array, write_json
from flairline.learning.card import COMPETITOR, Card, curve_rows, scans_table
from flairline.learning.data import TrainingData, healthy_quantiles, made_or_left_out, source_of
from flairline.learning.device import chosen_device
from flairline.learning.learner import Learner
from flairline.learning.model import WEIGHTS, ModelFolder, Source, fill
from flairline.learning.run import TrainingRun
from flairline.types import Case

MOST_LESION = 0.1
"""Share of the brain beyond which the brightest tissue is none of lesions."""


@dataclass(frozen=True)
class MixtureTraining:
    """Values of `MixtureSizes` and how a preset is trained."""

    sizes: Mapping[str, Any]
    steps: int
    batch: int
    learning_rate: float = 1e-3
    validate_every: int = 100
    validation_patches: int = 32


@dataclass(frozen=True)
class MixtureLearner(Learner):
    """Fields of a method that takes a scan for a mixture of tissues.

    Attributes
    ----------
    device
        auto, cpu, cuda or mps.
    power
        Of the difference that is lowered: 3 gives the rare bright voxels their weight (Atlason et al. 2019).
    apart_weight
        Price of voxels that are of several tissues.
    """

    device: str = "auto"
    power: float = 3.0
    apart_weight: float = 1e-3

    presets: ClassVar[Mapping[str, MixtureTraining]]
    """Preset (paper, small, test) -> sizes and training."""


@dataclass
class _Part:
    """Volumes on disk, and whose they are."""

    paths: list[Path] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)


def fit_mixture(method: MixtureLearner, data: TrainingData, run: TrainingRun) -> None:
    """Train and write the model folder; volumes and checkpoints go into ``run.work``.

    Parameters
    ----------
    data
        Scans with lesions and without, their truths unused; every fifth patient, one at least, validates.

    Raises
    ------
    InputError
        No such preset, too few patients, slices without lesions were asked for, or no scan can be read.
    ModelError
        The training to go on with is another one, or the brightest tissue holds too much of the brain.
    """
    import lightning
    import torch
    from torch.utils.data import DataLoader

    from flairline.learning.loop import Budget, steps_done, train
    from flairline.learning.networks.tissue_mixture import MixtureSizes, TissueMixture
    from flairline.learning.volumes.mixture_objective import RebuildFromTissues
    from flairline.learning.volumes.mixture_scans import Patches, first_brightness

    run.check_preset(method.presets)
    if data.lesion_free_slices:
        msg = f"{method.name} learns from whole scans with lesions; leave out --lesion-free-slices."
        raise InputError(msg)
    preset = method.presets[run.preset]
    sizes = MixtureSizes(**preset.sizes)
    run = run.on(method.device)
    run = replace(run, device=chosen_device(run.device))
    prepare_folder(run.folder)
    training, held = (_prepared(part, sizes.spacing_mm, run) for part in data.split())
    done = steps_done(run.work) if run.resume else 0
    seen = [source.voxels_sha256 for source in (*training.sources, *held.sources)]
    about = {"method": method.name, "preset": run.preset, "seed": run.seed}
    run.note_setup({**about, **asdict(sizes), "scans": seen}, done)
    lightning.seed_everything(run.seed + done, verbose=False)
    network = TissueMixture(sizes)
    brightness, edges = first_brightness(training.paths, sizes.classes)
    network.set_brightness(torch.from_numpy(brightness).float())
    budget = Budget(preset.steps, run.max_minutes, min(preset.validate_every, preset.steps))
    of_edges = torch.from_numpy(edges).float()
    objective = RebuildFromTissues(network, budget, preset.learning_rate, of_edges, method.power, method.apart_weight)
    patches = Patches(training.paths, sizes, preset.steps * preset.batch, run.seed, done * preset.batch)
    judged = Patches(held.paths, sizes, preset.validation_patches, run.seed + 1)
    state, curve = train(objective, DataLoader(patches, preset.batch), DataLoader(judged, preset.batch), run)
    fill(network, state, run.folder)
    scores = _scored(network.to(run.device), held.paths, sizes.patch, run.device)
    share = float((scores >= 0.5).mean())
    config: dict[str, Any] = {
        "grid": asdict(sizes),
        "preset": run.preset,
        "seed": run.seed,
        "brightness": network.brightness.detach().cpu().tolist(),
        "lesion_share": share,
        "training": {
            "scans": [source.plain() for source in training.sources],
            "validation_scans": [source.plain() for source in held.sources],
            "lesion_free_slices": False,
            "licences": list(data.licences),
            "seconds": curve.seconds,
            "steps": curve.last_step,
            "curve": {"steps": curve.steps, "values": curve.values},
            "best": curve.best,
        },
        "healthy_quantiles": healthy_quantiles(method.name, scores),
    }
    write_json(run.work / "curve.json", {"steps": curve.steps, "values": curve.values})
    _check_share(share)
    ModelFolder(run.folder).write(method.family, {WEIGHTS: state}, config, card(method, config).render())


def _check_share(share: float) -> None:
    """Raise `ModelError` if the brightest tissue holds too much of the held-out brains."""
    if share > MOST_LESION:
        msg = (
            f"Wanted a brightest tissue of less than {MOST_LESION:.0%} of the held-out brains, found {share:.0%}: it is"
            " none of lesions. Train again with another --seed, longer, or on scans with a T1."
        )
        raise ModelError(msg)


def _prepared(data: TrainingData, spacing_mm: float, run: TrainingRun) -> _Part:
    """Volumes (3, x, y, z), float16, of all cases that can be read: FLAIR, T1, brain. Made anew each time."""
    from flairline.learning.volumes.mixture_scans import working_images

    part = _Part()

    def made(case: Case) -> tuple[Path, Source]:
        source = source_of(case)
        path = run.work / "volumes" / f"{source.voxels_sha256[:24]}.npy"
        images, brain, _, _ = working_images(data.read(replace(case, truth=None)).scan, spacing_mm)
        prepare_folder(path.parent)
        write_array(path, np.concatenate([images, brain[None]]).astype(np.float16))
        return path, source

    for number, case in enumerate(data.cases, 1):
        found = made_or_left_out(case, partial(made, case), run)
        if found is not None:
            part.paths.append(found[0])
            part.sources.append(found[1])
        run.progress("preparing scans", number, len(data.cases))
    if not part.paths:
        msg = f"Of {len(data.cases)} scans none can be read. Give others."
        raise InputError(msg)
    return part


def _scored(network: Any, paths: Sequence[Path], patch: int, device: str) -> Any:
    """Share of lesion in the voxels of held-out brains, of ten scans at most."""
    import torch

    from flairline.learning.volumes.mixture_scorer import lesion_share

    scores = []
    for path in paths[:10]:
        volume = np.load(path).astype(np.float32)
        scores.append(lesion_share(network.eval(), volume[:2], patch, torch.device(device))[volume[2] >= 0.5])
    return np.concatenate(scores)


def card(method: MixtureLearner, config: Mapping[str, Any]) -> Card:
    """The model card from what config.json says."""
    training, grid = config["training"], config["grid"]
    levels = ", ".join(f"{value:.2f}" for value in sorted(config["brightness"][0]))
    licences = "; ".join(training["licences"]) or "not stated by who trained it"
    return Card(
        method.family,
        about=(
            f"After {method.info.paper}.\nIt takes a scan at {grid['spacing_mm']:g} mm for a mixture of"
            f" {grid['classes']} tissues, each of one brightness; the one that is\nbrightest in FLAIR is lesion. No"
            " lesion label was used in training."
        ),
        intended_use=COMPETITOR,
        data=(
            f"{len(training['scans'])} scans; {len(training['validation_scans'])} more to validate. They may have"
            f" lesions: it learns them from scans that\nhave them. Truths were not read.\nLicence of the data:"
            f" {licences}."
        ),
        training=(
            f"Preset {config['preset']}, seed {config['seed']}, {training['steps']} steps in"
            f" {training['seconds']:.0f} seconds.\nThe weights are those of the best validation value,"
            f" {training['best']:.4f}. Brightness of the tissues in FLAIR: {levels}.\nLesion in the held-out brains:"
            f" {config['lesion_share']:.2%}."
        ),
        curve=curve_rows(training["curve"]["steps"], training["curve"]["values"]),
        sources=scans_table(training),
    )
