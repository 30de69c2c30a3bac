"""Training of the U-Net: label maps in, model folder out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from flairline.errors import FlairlineError, InputError
from flairline.executor import threads
from flairline.imaging.resample import resample_mask
from flairline.io.files import prepare_folder, sha256, write_json
from flairline.io.nifti import read_mask
from flairline.learning.device import chosen_device
from flairline.learning.loop import Budget, Curve, has_bf16, steps_done, train
from flairline.learning.model import ModelFolder, Source
from flairline.learning.networks.folded import folded_weights, widened_weights
from flairline.learning.run import TrainingRun
from flairline.learning.volumes.alike import look_of, most_alike
from flairline.learning.volumes.crops import Crops
from flairline.learning.volumes.heads import head_of
from flairline.learning.volumes.label_maps import HELD_OUT, LabelMaps
from flairline.learning.volumes.self_training import Teacher, lessons
from flairline.learning.volumes.sizes import SIZES, Inlets, Size
from flairline.learning.volumes.unet import WholeScans, build
from flairline.learning.volumes.unet_objective import SegmentLesions
from flairline.learning.volumes.write_unet import Trained, write_model
from flairline.synthesis.averages import fill_averages
from flairline.synthesis.label_map import read_label_map
from flairline.synthesis.mni_classes import mni_classes, mni_files
from flairline.synthesis.scan_store import Head, Making, fill_cache, read_scan
from flairline.types import Space

HELD_OUT_SCANS = 64
"""Synthetic scans of held-out heads, for the calibration."""
CANDIDATES = 192
"""So many are made where there are real scans: the calibration takes those that look most like them."""
SCANS_AN_AVERAGE = 30
"""For so many synthetic scans there is one average of those without lesions."""
MOST_WORKERS = 12
VALIDATION_SCANS = 8
"""How many of them are looked at during the training. They choose nothing."""
MNI_BOX_MM = ((-82, -115, -78), (82, 82, 90))
"""First and last voxel of the MNI152 brain's box with a margin of 10 mm, where lesion shapes are taken from."""


@dataclass(frozen=True)
class _Anatomies:
    """What synthetic scans are made of: heads to learn from, heads held out, lesion shapes (none: random ones)."""

    learned: Sequence[Head]
    held: Sequence[Head]
    shapes: list[NDArray[np.bool_]] | None


@dataclass(frozen=True)
class _Scans:
    """Stems of the synthetic scans to learn from, of those held out, and of real ones that a model teaches."""

    learned: Sequence[Path]
    held: Sequence[Path]
    real: Sequence[Path] = ()


def fit_unet(method: str, data: LabelMaps, run: TrainingRun) -> None:
    """Train the U-Net and write its model folder; synthetic scans and checkpoints go into ``run.work``.

    Parameters
    ----------
    method
        The method whose model folder it is.
    run
        Its preset is a name in `sizes.SIZES`. `start` are model folders whose weights the training starts from, the
        mean of them if there are several (Wortsman et al. 2022, https://arxiv.org/abs/2203.05482); their presets must
        have the same features.

    Raises
    ------
    InputError
        No such preset, fewer than three label maps that can be read, a model to start from that has another size, or
        none where the preset or scans without labels need one.
    ModelError
        The training to go on with is another one.
    """
    run.check_preset(SIZES)
    size = SIZES[run.preset]
    data.check()
    if (size.frozen or not size.steps) and not run.start:
        msg = f"The preset {run.preset} goes on from a trained model. Name one with --start."
        raise InputError(msg)
    if data.unlabelled is not None and not run.start:
        msg = "Scans without labels are taught by a trained model. Name one with --start."
        raise InputError(msg)
    before = [_same_size(method, ModelFolder(path), run.preset) for path in run.start]
    prepare_folder(run.folder)
    data, anatomies = _read(data, size, run)
    sources = _sources(data, size)
    run.note_setup(_setup(method, data, run), steps_done(run.work) if run.resume else 0)
    lightning.seed_everything(run.seed, verbose=False)
    scans = _made(anatomies, size, CANDIDATES if data.unlabelled is not None else HELD_OUT_SCANS, run)
    network = build(size.features, size.folded, _inlets(size))
    if run.start:
        pairs = zip(run.start, before, strict=True)
        states = [widened_weights(_start_weights(ModelFolder(path), config), network) for path, config in pairs]
        network.load_state_dict(mean_weights(states))
    real, seen = _taught(data, network, before, size, run)
    candidates, held = len(scans.held), like_real(scans.held, real, HELD_OUT_SCANS)
    state, curve = network.state_dict(), Curve()
    if size.steps:
        # The eight validation scans once preferred weights with a Dice of .461 on sixty others to those with .516.
        budget = Budget(size.steps, run.max_minutes, validate_every=_between_validations(size), best=False)
        objective = SegmentLesions(network, budget, size.learning_rate, has_bf16(), size.frozen, _inlets(size))
        state, curve = _trained(objective, size, replace(scans, held=held, real=real), run)
    write_json(run.work / "curve.json", {"steps": curve.steps, "values": curve.values, "seconds": curve.seconds})
    given = (bool(data.shapes), run.seed, before, _device(run), run.max_minutes, seen)
    write_model(ModelFolder(run.folder), method, Trained(state, size, curve, held, sources, *given, candidates))


def _sources(data: LabelMaps, size: Size) -> dict[str, str]:
    """File name -> sha256 of all that the scans are made from."""
    templates = mni_files() if size.template else ()
    return {path.name: sha256(path) for path in (*data.paths, *templates, *data.shapes)}


def _setup(method: str, data: LabelMaps, run: TrainingRun) -> dict[str, Any]:
    """What must stay as it is for a training to go on."""
    files = {"label maps": data.paths, "shapes": data.shapes}
    hashes = {what: [sha256(path) for path in paths] for what, paths in files.items()}
    start = [ModelFolder(path).sha256 for path in run.start]
    unlabelled = [] if data.unlabelled is None else [case.key for case in data.unlabelled.cases]
    setup = {"method": method, "preset": run.preset, "seed": run.seed, **hashes, "start": start}
    return {**setup, "unlabelled": unlabelled}


def _read(data: LabelMaps, size: Size, run: TrainingRun) -> tuple[LabelMaps, _Anatomies]:
    """What scans are made of, and the label maps and shapes that could be read; of others the run is told."""
    maps = _readable(data.paths, read_label_map, run)
    shapes = _readable(data.shapes, shape_in_mni_box, run)
    data = replace(data, paths=tuple(maps), shapes=tuple(shapes))
    data.check()
    classes = list(maps.values())
    learned = [*classes[:-HELD_OUT], *([mni_classes()] if size.template else [])]
    heads, held = [head_of(one) for one in learned], [head_of(one) for one in classes[-HELD_OUT:]]
    return data, _Anatomies(heads, held, list(shapes.values()) or None)


def _readable(
    paths: Sequence[Path], read: Callable[[Path], NDArray[Any]], run: TrainingRun
) -> dict[Path, NDArray[Any]]:
    found = {}
    for path in paths:
        try:
            found[path] = read(path)
        except FlairlineError as error:
            run.left_out(path.name, str(error))
    return found


def _made(anatomies: _Anatomies, size: Size, most_held: int, run: TrainingRun) -> _Scans:
    """The synthetic scans, those that are not there yet made now, on the device that the training runs on."""
    counted = min(most_held, size.scans) if size.steps else most_held
    learned, held, shapes = anatomies.learned, anatomies.held, anatomies.shapes
    making = Making(_workers(run), _device(run))
    scans = fill_cache(run.work / "scans", learned, size.scans, run.seed, shapes, making)
    averages = fill_averages(run.work / "averages", scans, size.scans // SCANS_AN_AVERAGE, run.seed)
    return _Scans([*scans, *averages], fill_cache(run.work / "held_out", held, counted, run.seed + 1, shapes, making))


def like_real(stems: Sequence[Path], real: Sequence[Path], count: int) -> list[Path]:
    """Those synthetic scans of a cache that look most like the real ones; the first ones where there are none."""
    if not real or len(stems) <= count:
        return list(stems[:count])
    drawn, scanned = ([look_of(read_scan(stem)[0]) for stem in group] for group in (stems, real))
    return [stems[number] for number in most_alike(drawn, scanned, count)]


def _taught(
    data: LabelMaps, network: torch.nn.Module, before: Sequence[Mapping[str, Any]], size: Size, run: TrainingRun
) -> tuple[list[Path], list[Source]]:
    """Real scans with what the model that the training starts from is sure of; none where there are no scans.

    Of the mean of several models the calibration is the last one's.
    """
    if data.unlabelled is None:
        return [], []
    device = torch.device(_device(run))
    teacher = Teacher(
        network.eval().to(device), _inlets(size), before[-1]["calibration"], device, before[-1]["weights_sha256"]
    )
    stems, sources = lessons(data.unlabelled, teacher, run.work / "real", run)
    if not stems:
        msg = "None of the scans without labels can be read; why stands above. Name others, or leave them out."
        raise InputError(msg)
    return stems, sources


def _inlets(size: Size) -> Inlets:
    return Inlets(size.t1, size.placed)


def _device(run: TrainingRun) -> str:
    """Where scans are rendered: on a GPU where the training has one, else on the CPU, also beside other kinds."""
    device = chosen_device(run.device)
    return device if device.startswith("cuda") else "cpu"


def _workers(run: TrainingRun) -> int:
    """Processes that prepare scans and crops; beside a GPU as many as there are cores, so that it never waits."""
    return run.workers if _device(run) == "cpu" else max(run.workers, min(MOST_WORKERS, threads()))


def _trained(objective: SegmentLesions, size: Size, scans: _Scans, run: TrainingRun) -> tuple[dict[str, Tensor], Curve]:
    """The last weights of a training on crops, and its curve on the first of the held-out scans."""
    done = steps_done(run.work) if run.resume else 0
    # Crops of all steps, also after resuming: Lightning stops after those that are left.
    inlets, on_gpu = objective.inlets, _device(run) != "cpu"
    crops = Crops(scans.learned, size.steps * size.batch, run.seed + done, inlets, scans.real)
    validation = DataLoader(WholeScans(list(scans.held[:VALIDATION_SCANS]), inlets), batch_size=1)
    beside = _workers(run) if on_gpu else 0
    training = DataLoader(crops, batch_size=size.batch, num_workers=beside, pin_memory=on_gpu)
    return train(objective, training, validation, run)


def mean_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of several models' tensors; whole numbers (counts of batches) are the first one's."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if first.is_floating_point() else first
        for name, first in states[0].items()
    }


def _start_weights(model: ModelFolder, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """A model's weights in 32 bits; those of a plain U-Net as the folded one has them that computes the same."""
    weights = {
        name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in model.tensors().items()
    }
    return weights if config["size"].get("folded", False) else folded_weights(weights)


def _same_size(method: str, model: ModelFolder, preset: str) -> dict[str, Any]:
    """The configuration of a model to start from. Raises `InputError` if its network is not the preset's."""
    config = model.config_of(method)
    wanted, found = list(SIZES[preset].features), list(config["size"]["features"])
    if found != wanted:
        msg = (
            f"Wanted a model to start from with the features {wanted} of the preset {preset}, but {model.path} has"
            f" {found}. Name another model, or the preset that it was trained with."
        )
        raise InputError(msg)
    return {**config, "weights_sha256": model.sha256}


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
