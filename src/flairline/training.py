"""Train a method and write its model folder: what `flairline fit` does once its words are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flairline import registry
from flairline.cases.names import cases_from_files, named
from flairline.errors import InputError
from flairline.learning.data import TrainingData
from flairline.learning.run import TrainingRun
from flairline.learning.volumes.label_maps import LabelMaps
from flairline.methods.base import Trainable, load_method, trainable
from flairline.preprocess.settings import preprocess_settings
from flairline.types import Case

LABEL_MAPS = "label maps"


@dataclass(frozen=True)
class Material:
    """What a method shall learn from: it takes `label_maps`, or else `scans` or `cases`, and looks at no other.

    Attributes
    ----------
    scans
        Files of healthy FLAIRs, raw or skull-stripped.
    cases
        Rows of a table or of a data set.
    label_maps
        Files of whole-head label maps.
    shapes
        Lesion masks of other patients, to draw lesions from beside label maps.
    unlabelled
        Rows of a table of real scans without labels, beside label maps, to learn from what a model is sure of.
    lesion_free_slices
        Learn from patients' slices without lesions by their truths.
    brain
        How a skull is taken off: auto, deepbet, robex, hdbet or none.
    """

    scans: Sequence[Path] = ()
    cases: Sequence[Case] = ()
    label_maps: Sequence[Path] = ()
    shapes: Sequence[Path] = ()
    unlabelled: Sequence[Case] = ()
    lesion_free_slices: bool = False
    brain: str = "auto"


def train_model(method: str, run: TrainingRun, material: Material) -> Path:
    """Train a method on scans or label maps and write its model folder. No lesion label is ever learned from.

    Parameters
    ----------
    method
        Name of a method that can be trained.
    run
        Where the model goes, the size of the training, its budget, device and seed.
    material
        What to learn from.

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    UnknownNameError
        No method has that name.
    InputError
        The method needs no training, or what was given is not what it learns from or cannot be used.
    ModelError
        A training to go on with is another one.
    MissingExtraError
        What the training needs is not installed.
    """
    chosen = checked_method(method)
    if chosen.info.learns_from == LABEL_MAPS:
        if not material.label_maps or material.lesion_free_slices:
            msg = f"{method} learns from label maps. Name their files: flairline fit {method} LABELS... -o MODEL."
            raise InputError(msg)
        unlabelled = None
        if material.unlabelled:
            unlabelled = training_data(replace(material, scans=(), cases=material.unlabelled), run.work / "brains")
        chosen.train(LabelMaps(tuple(material.label_maps), tuple(material.shapes), unlabelled), run)
    else:
        if material.shapes or material.unlabelled or run.start:
            msg = (
                f"--shape, --unlabelled and --start are for {_learning_from(LABEL_MAPS)}, and {method} learns from"
                " scans. Leave them out."
            )
            raise InputError(msg)
        chosen.train(training_data(material, run.work / "brains"), run)
    return run.folder


def checked_method(name: str) -> Trainable:
    """A method that can be trained.

    Raises
    ------
    UnknownNameError
        No method has that name.
    InputError
        The method needs no training.
    """
    chosen = trainable(load_method(name)())
    if chosen is None:
        msg = f"The method {name} needs no training. Use it at once: flairline segment --method {name}."
        raise InputError(msg)
    return chosen


def training_data(material: Material, work: Path | None = None) -> TrainingData:
    """Healthy scans to train on, with what is known of their licences; their brains are kept in `work`.

    Raises
    ------
    InputError
        A file is missing, or the way to take off a skull is unknown.
    """
    found = list(material.cases)
    if material.scans:
        if missing := [path for path in material.scans if not path.exists()]:
            msg = f"No such file: {missing[0]}. Nothing was trained; name files that are there."
            raise InputError(msg)
        found = named(cases_from_files(list(material.scans)))
    prepare = preprocess_settings(material.brain, "t1", "greedy", "mni", bias=False)
    return TrainingData(found, material.lesion_free_slices, prepare, work, _licences(found))


def _licences(cases: Sequence[Case]) -> tuple[str, ...]:
    """The terms of the known data sets that cases are of."""
    known = [name for name in sorted({case.dataset for case in cases}) if name in registry.names("datasets")]
    return tuple(f"{name}: {registry.load('datasets', name).licence}" for name in known)


def _learning_from(what: str) -> str:
    """Names of our methods that learn from this."""
    names = registry.own_names("methods")
    return ", ".join(name for name in names if load_method(name).info.learns_from == what)
