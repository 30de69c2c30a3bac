"""`flairline fit synthetic_unet`: label maps in, model folder out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from flairline.errors import InputError
from flairline.imaging.resample import resample_mask
from flairline.io.files import prepare_folder, sha256, write_json
from flairline.io.nifti import read_mask, read_volume
from flairline.learning.loop import Budget, Curve, has_bf16, steps_done, train
from flairline.learning.model import load_config, load_weights
from flairline.learning.networks.folded import folded_weights
from flairline.learning.volumes.crops import Crops
from flairline.learning.volumes.unet import SIZES, Size, WholeScans, build
from flairline.learning.volumes.unet_objective import SegmentLesions
from flairline.synthesis.anatomy import to_classes
from flairline.synthesis.mni_classes import mni_classes, mni_files
from flairline.synthesis.scan_store import fill_cache
from flairline.types import Space

HELD_OUT_SCANS = 64
"""Synthetic scans of held-out heads, for the calibration."""
VALIDATION_SCANS = 8
"""How many of them are looked at during the training. They choose nothing."""
HELD_OUT = 2
"""Label maps that only validation and calibration scans are made from."""

MNI_BOX_MM = ((-82, -115, -78), (82, 82, 90))
"""First and last voxel of the MNI152 brain's box with a margin of 10 mm, where lesion shapes are taken from."""


def fit_folder(
    label_maps: Sequence[Path],
    folder: Path,
    preset: str = "small",
    shapes: Sequence[Path] = (),
    max_minutes: float = 60.0,
    device: str = "auto",
    resume: bool = False,
    seed: int = 0,
    progress: bool = False,
    workers: int = 2,
    start: Sequence[Path] = (),
) -> None:
    """Train `synthetic_unet` and write its model folder.

    Parameters
    ----------
    label_maps
        Whole-head label maps with FreeSurfer's numbers at 1 mm. The last two are held out for validation; nilearn's
        average brain, where the preset has it, is not.
    folder
        The model folder; the cache of synthetic scans and the checkpoints go into ``folder/training``.
    preset
        A name in `unet.SIZES`.
    shapes
        Lesion masks of other patients. Empty: random shapes only.
    max_minutes
        Budget of the training, without the making of the synthetic scans.
    resume
        Go on from the last checkpoint.
    start
        Model folders whose weights the training starts from, the mean of them if there are several (Wortsman et al.
        2022, https://arxiv.org/abs/2203.05482); their presets must have the same features.

    Raises
    ------
    InputError
        Fewer than three label maps, files that cannot be read, a model to start from that has another size, or none
        where the preset needs one.
    """
    if preset not in SIZES:
        msg = f"No preset is called {preset!r}. Known: {', '.join(SIZES)}."
        raise InputError(msg)
    if len(label_maps) <= HELD_OUT:
        msg = f"Wanted at least {HELD_OUT + 1} label maps ({HELD_OUT} are held out), got {len(label_maps)}."
        raise InputError(msg)
    if (SIZES[preset].frozen or not SIZES[preset].steps) and not start:
        msg = f"The preset {preset} goes on from a trained model. Name one with --start."
        raise InputError(msg)
    before = [_same_size(load_config(model, "synthetic_unet"), model, preset) for model in start]
    size, work = SIZES[preset], prepare_folder(folder) / "training"
    lightning.seed_everything(seed, verbose=False)
    maps = [to_classes(read_volume(path).array) for path in label_maps]
    drawings = [shape_in_mni_box(path) for path in shapes] or None
    learned = [*maps[:-HELD_OUT], *([mni_classes()] if size.template else [])]
    counted = min(HELD_OUT_SCANS, size.scans) if size.steps else HELD_OUT_SCANS
    stems = fill_cache(work / "scans", learned, size.scans, seed, drawings, workers)
    held = fill_cache(work / "held_out", maps[-HELD_OUT:], counted, seed + 1, drawings, workers)
    network = build(size.features, size.folded)
    if start:
        network.load_state_dict(mean_weights([_start_weights(*pair) for pair in zip(start, before, strict=True)]))
    state, curve = network.state_dict(), Curve()
    if size.steps:
        # The eight validation scans once preferred weights with a Dice of .461 on sixty others to those with .516.
        budget = Budget(size.steps, max_minutes, validate_every=_between_validations(size), best=False)
        objective = SegmentLesions(network, budget, size.learning_rate, has_bf16(), size.frozen)
        state, curve = _trained(objective, size, stems, held, work, resume, device, progress, seed)
    from flairline.learning.volumes.unet_card import write_model

    templates = mni_files() if size.template else ()
    sources = {path.name: sha256(path) for path in (*label_maps, *templates, *shapes)}
    write_json(work / "curve.json", {"steps": curve.steps, "values": curve.values, "seconds": curve.seconds})
    write_model(folder, state, replace(size), curve, held, sources, bool(shapes), seed, before)


def _trained(
    objective: SegmentLesions,
    size: Size,
    stems: Sequence[Path],
    held: Sequence[Path],
    work: Path,
    resume: bool,
    device: str,
    progress: bool,
    seed: int,
) -> tuple[dict[str, Tensor], Curve]:
    """The last weights of a training on crops of `stems`, and its curve on the first of the held-out scans."""
    done = steps_done(work) if resume else 0
    crops = Crops(stems, size.steps * size.batch, seed + done)  # all: Lightning stops after those that are left
    validation = DataLoader(WholeScans(list(held[:VALIDATION_SCANS])), batch_size=1)
    return train(objective, DataLoader(crops, batch_size=size.batch), validation, work, resume, device, progress)


def mean_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of several models' tensors; whole numbers (counts of batches) are the first one's."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if first.is_floating_point() else first
        for name, first in states[0].items()
    }


def _start_weights(model: Path, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """A model's weights; those of a plain U-Net as the folded one has them that computes the same."""
    weights = load_weights(model)
    return weights if config["size"].get("folded", False) else folded_weights(weights)


def _same_size(config: dict[str, Any], model: Path, preset: str) -> dict[str, Any]:
    """The configuration of a model to start from. Raises `InputError` if its network is not the preset's."""
    wanted, found = list(SIZES[preset].features), list(config["size"]["features"])
    if found != wanted:
        msg = (
            f"Wanted a model to start from with the features {wanted} of the preset {preset}, but {model} has {found}."
            " Name another model, or the preset that it was trained with."
        )
        raise InputError(msg)
    return config


def _between_validations(size: Size) -> int:
    """Steps from one validation to the next."""
    return min(600, max(1, size.steps // size.validations))


def shape_in_mni_box(path: Path) -> NDArray[np.bool_]:
    """A lesion mask in MNI space, cut to the box of the brain and the margin that `to_classes` keeps; 1 mm, RAS+."""
    low, high = np.array(MNI_BOX_MM)
    vox_to_ras = np.eye(4)
    vox_to_ras[:3, 3] = low
    x, y, z = (int(side) + 1 for side in high - low)
    return resample_mask(read_mask(path), Space((x, y, z), vox_to_ras, "atlas")).array
