"""`flairline fit` of voxel-wise statistics: healthy scans in, model folder out."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError, MissingExtraError
from flairline.imaging.measure import dice
from flairline.imaging.points import PointMap
from flairline.io.files import prepare_folder, write_json
from flairline.learning.atlas.learner import AtlasLearner
from flairline.learning.atlas.moments import Sums, onto_grid
from flairline.learning.atlas.placing import MIN_HEADER_OVERLAP, Frame, Placed, mni_frame, place
from flairline.learning.atlas.scorer import AtlasModel, AtlasScorer
from flairline.learning.card import COMPETITOR, Card, cell, data_section, scans_table
from flairline.learning.data import HealthyScan, TrainingData, healthy_quantiles, made_or_left_out, source_of
from flairline.learning.model import WEIGHTS, ModelFolder
from flairline.learning.run import TrainingRun
from flairline.preprocess.register import GREEDY_LEVELS
from flairline.types import BoolArray, Case, Scan, Space

VERSION = 1
"""Goes up when scans are placed in another way, so that places kept on disk are looked for anew."""
LATE = "the time was up"


@dataclass
class _Part:
    """Scans that were used and those that were left out, with reasons."""

    sources: list[dict[str, str]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)

    def leave_out(self, case: Case, reason: str) -> None:
        self.left_out.append({"dataset": case.dataset, "subject": case.subject, "reason": reason})


def fit_atlas(method: AtlasLearner, data: TrainingData, run: TrainingRun) -> None:
    """Learn the statistics and write the model folder; places of scans are kept in ``run.work``.

    Parameters
    ----------
    data
        Scans to learn from; every fifth patient, one at least, only calibrates the score. Of lesion-free slices only
        those voxels count; registration and intensity range are those of the whole brain.
    run
        Its preset is "paper" (maps of 1 mm), "small" (2 mm) or "test". No further scan is read after its minutes, once
        there are two; those left out are named in the model. Nothing is random, and places that are known are always
        used again, so `seed` and `resume` change nothing.

    Raises
    ------
    InputError
        No such preset or device, too few patients, a scan with lesions, or scans that cannot be read or placed.
    MissingExtraError
        safetensors is not installed.
    """
    if run.device not in ("auto", "cpu"):
        msg = f"{method.name} learns on the CPU alone, but --device {run.device} was given. Leave it out."
        raise InputError(msg)
    run.check_preset(method.presets)
    if importlib.util.find_spec("safetensors") is None:
        what = f"Training {method.name}"
        raise MissingExtraError(what, "deep")
    training, validation = data.split()
    begun = time.perf_counter()
    prepare_folder(run.folder)
    fit = _Fit(method, run, begun + 60 * run.max_minutes, len(data.cases))
    frame = mni_frame(*method.presets[run.preset]) if method.register else _first_frame(training, run)
    sums, trained = fit.learn(training, frame)
    model = AtlasModel(frame, method.intensity, sums.maps())
    scores, error, held = fit.judge(validation, AtlasScorer(method, model))
    config = {
        **frame.describe(),
        "intensity": method.intensity,
        "preset": run.preset,
        "seed": run.seed,
        "pooled_std": model.maps.pooled_std,
        "training": {
            "scans": trained.sources,
            "validation_scans": held.sources,
            "left_out": [*trained.left_out, *held.left_out],
            "voxels": int(sums.count.sum()),
            "lesion_free_slices": data.lesion_free_slices,
            "licences": list(data.licences),
            "seconds": time.perf_counter() - begun,
        },
        "l1_healthy": error,
        "healthy_quantiles": healthy_quantiles(method.name, scores) if len(scores) else {},
    }
    text = card(method, model, config).render()
    ModelFolder(run.folder).write(method.family, {WEIGHTS: model.maps.arrays()}, config, text)


@dataclass
class _Fit:
    """One run of `fit_atlas`."""

    method: AtlasLearner
    run: TrainingRun
    deadline: float
    total: int
    done: int = 0

    def learn(self, data: TrainingData, frame: Frame) -> tuple[Sums, _Part]:
        """Statistics of the scans to train on."""
        sums, part, first = Sums(frame.space.shape), _Part(), None
        for case, healthy, placed in self._placed(data, frame, part, least=2):
            inside = healthy.scan.brain.array & healthy.usable
            values, known = onto_grid(healthy.scan, inside, frame, placed, self.method.intensity)
            if not frame.registered:
                _, brain = onto_grid(healthy.scan, healthy.scan.brain.array, frame, placed, self.method.intensity)
                first = brain if first is None else first
                if not dice(brain, first) >= MIN_HEADER_OVERLAP:
                    part.leave_out(case, "its brain does not lie where the first scan's does")
                    continue
            sums.add(values, known)
            part.sources.append(source_of(case).plain())
        if not (sums.count > 1).any():
            reasons = "; ".join(f"{left['subject']}: {left['reason']}" for left in part.left_out)
            msg = (
                f"Wanted two scans to train on that show the same place (and one more patient to validate), got"
                f" {sums.scans} that could be placed{f' ({reasons})' if reasons else ''}. Give more."
            )
            raise InputError(msg)
        return sums, part

    def judge(self, data: TrainingData, scorer: AtlasScorer) -> tuple[NDArray[np.float32], float, _Part]:
        """Scores in held-out healthy brain, the mean distance of its intensities from the mean, and the scans."""
        part, scores, distance = _Part(), [np.empty(0, np.float32)], 0.0
        for case, healthy, placed in self._placed(data, scorer.model.frame, part, least=1):
            inside = healthy.scan.brain.array & healthy.usable
            z = scorer.z_placed(healthy.scan, placed).array[inside]
            seen, mean = (image.array[inside] for image in scorer.reconstruction_placed(healthy.scan, placed))
            scores.append(np.abs(z) if self.method.sign == "absolute" else np.maximum(z, np.float32(0)))
            distance += float(np.abs(seen - mean).sum(dtype=np.float64))
            part.sources.append(source_of(case).plain())
        joined = np.concatenate(scores)
        return joined, distance / len(joined) if len(joined) else float("nan"), part

    def _placed(
        self, data: TrainingData, frame: Frame, part: _Part, least: int
    ) -> Iterator[tuple[Case, HealthyScan, Placed]]:
        """Scans and where they lie, until the time is up and there are `least`."""
        for case in data.cases:
            self.done += 1
            if time.perf_counter() > self.deadline and len(part.sources) >= least:
                part.leave_out(case, LATE)
                continue
            healthy = made_or_left_out(case, partial(data.read, case), self.run)
            if healthy is None:
                part.leave_out(case, "it cannot be read")
                continue
            placed = self._known_place(healthy.scan, frame)
            self.run.progress("registering", self.done, self.total)
            if placed.trouble:
                part.leave_out(case, placed.trouble)
            else:
                yield case, healthy, placed

    def _known_place(self, scan: Scan, frame: Frame) -> Placed:
        """`place`, or what it found earlier for the same image, brain and grid."""
        what = {"version": VERSION, **frame.describe(), "register": self.method.register, "levels": GREEDY_LEVELS}
        what["images"] = [_digest(image) for image in (scan.flair.array, scan.brain.array, scan.space.vox_to_ras)]
        key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]
        note = self.run.work / f"{key}.json"
        if note.exists():
            kept = json.loads(note.read_text(encoding="utf-8"))
            return Placed(PointMap("atlas", "flair", np.array(kept["to_scan"])), kept["trouble"])
        placed = place(scan, frame, self.method.register)
        write_json(note, {"to_scan": placed.to_scan.ras_to_ras, "trouble": placed.trouble})
        return placed


def _first_frame(data: TrainingData, run: TrainingRun) -> Frame:
    """The grid of the first scan that can be read."""
    untold = replace(run, left_out=lambda *_: None)  # it is told when the scan is learned from
    for case in data.cases:
        healthy = made_or_left_out(case, partial(data.read, case), untold)
        if healthy is not None:
            space = healthy.scan.space
            return Frame(Space(space.shape, space.vox_to_ras, "atlas"), False, 0.0)
    msg = f"Wanted healthy scans, but none of {len(data.cases)} can be read. Give others."
    raise InputError(msg)


def _digest(array: NDArray[Any] | BoolArray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def card(method: AtlasLearner, model: AtlasModel, config: Mapping[str, Any]) -> Card:
    """The model card from the maps and from what config.json says."""
    training, space, count = config["training"], model.frame.space, model.maps.count
    side = " x ".join(f"{spacing:g}" for spacing in space.spacing_mm)
    left = "; ".join(f"{out['subject']} ({out['reason'].rstrip('.')})" for out in training["left_out"]) or "none"
    where = "the MNI atlas, by affine registration" if model.frame.registered else "the first scan's grid, unregistered"
    data = data_section(training, f"{training['voxels']} voxels")
    return Card(
        method.family,
        about=(
            f"{method.info.paper}.\nMean and unbiased standard deviation of healthy FLAIRs at each place of the brain,"
            f"\non {where}; voxels of {side} mm. No lesion label was used in training."
        ),
        intended_use=COMPETITOR,
        data=f"{data}\nScans left out: {cell(left)}.",
        training=(
            f"Preset {config['preset']}, {training['seconds']:.0f} seconds, nothing random. Most scans at one place:\n"
            f"{int(count.max())}; median where there is any: {float(np.median(count[count > 0])):g}. Pooled standard"
            f" deviation:\n{config['pooled_std']:.4f}.\nPlaces that any scan shows:"
            f" {np.count_nonzero(count) * space.voxel_ml:.0f} ml; elsewhere the score is 0.\nMean distance of held-out"
            f" brain from the mean: {config['l1_healthy']:.4f} (images are in\n[0, 1])."
        ),
        sources=scans_table(training),
    )
