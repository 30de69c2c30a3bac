"""What a user runs: a method, its post-processing and a threshold rule that needs no labels."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline import registry
from flairline.errors import InputError, MissingExtraError, UnknownNameError
from flairline.imaging.components import ComponentRule
from flairline.io.files import sha256
from flairline.learning.model import WEIGHTS, load_any_config, model_stamp
from flairline.postprocess.box import from_box, to_box
from flairline.postprocess.calibrated import Calibrated, ModelThreshold, healthy_quantile
from flairline.postprocess.confidence import lesion_probabilities
from flairline.postprocess.prior import NormalPlaces
from flairline.postprocess.rim import BrainRim
from flairline.postprocess.smooth import Smooth
from flairline.postprocess.steps import Step
from flairline.postprocess.threshold import BrainQuantile, ThresholdRule, mask_from_score
from flairline.types import Mask, MethodInfo, Scan, Scorer, Threshold, Volume

FIXED_SHARE_NOTE = "a fixed share of every brain, not a measurement"

FALLBACK_THRESHOLD = BrainQuantile(0.98)
"""What `segment` takes where neither the user nor the recipe says: the brightest 2 % of the brain."""


Rating = Callable[[NDArray[np.integer]], NDArray[np.floating]]
"""From numbered components (x, y, z) to the probability of each."""

MIN_UNET_VOXELS = 5
"""Smallest component that `synthetic_unet` keeps: it finds lesions of a few voxels, and few others that small."""


@dataclass(frozen=True)
class Recipe:
    """A method with everything that makes a mask of its score.

    Attributes
    ----------
    threshold
        The recipe's own label-free rule; None where it has none, and then its per-subject Dice is NaN.
    steps
        What happens to the score before the threshold, in order.
    model
        The model folder to load; None: what the method's `fit` gives without scans.
    """

    name: str
    method: str
    components: ComponentRule = field(default_factory=ComponentRule)
    threshold: ThresholdRule | None = None
    why: str = ""
    steps: tuple[Step, ...] = ()
    model: Path | None = None

    def configured(self) -> Any:
        """The method's configuration object. Raises `UnknownNameError` or `MissingExtraError`."""
        return registry.load("methods", self.method)()

    def scorer(self) -> Scorer:
        """The method's scorer and the recipe's steps, ready to use."""
        method = self.configured()
        if self.model is not None and not hasattr(method, "load"):
            msg = f"The method {self.method} reads no model, but {self.model} was given. Leave it out."
            raise InputError(msg)
        score = method.fit(()) if self.model is None else method.load(self.model)
        return partial(_stepped, score, self.steps) if self.steps else score

    def sources(self) -> list[dict[str, str]]:
        """Scans that the recipe's model was trained or validated on; none where there is no model of scans."""
        if self.model is None:
            return []
        training = load_any_config(self.model).get("training", {})
        return [*training.get("scans", ()), *training.get("validation_scans", ())]

    def rating(self, score: Volume) -> Rating | None:
        """What tells each numbered component's probability to be a lesion; None if the method's model says nothing."""
        if not isinstance(self.threshold, ModelThreshold):
            return None
        return partial(lesion_probabilities, score, calibration=self.threshold.calibration())

    @property
    def info(self) -> MethodInfo:
        """What the method says of itself."""
        return registry.load("methods", self.method).info

    def note(self, rule: ThresholdRule) -> str:
        """What a reader must know about a mask made with this rule; empty if there is nothing to warn of."""
        fixed = self.info.marks_fixed_share or isinstance(rule, BrainQuantile)
        return FIXED_SHARE_NOTE if fixed else ""

    def mask(self, score: Volume, brain: Mask, rule: ThresholdRule) -> tuple[Mask, Threshold]:
        """Threshold and filter a score."""
        threshold = rule.choose(score, brain)
        return mask_from_score(score, brain, threshold, self.components), threshold


def _stepped(scorer: Scorer, steps: tuple[Step, ...], scan: Scan) -> Volume:
    score = scorer(scan)
    inner, changed, where = to_box(scan, score)
    for step in steps:
        changed = step(inner, changed)
    return from_box(changed, where, score.space)


def ready_scorer(recipe: Recipe) -> Scorer:
    """The recipe's scorer, made once in each process: a model is read once, not for every scan."""
    return _ready(recipe, () if recipe.model is None else model_stamp(recipe.model))


@lru_cache(maxsize=8)
def _ready(recipe: Recipe, stamp: tuple[tuple[int, int], ...]) -> Scorer:
    return recipe.scorer()


def listing() -> list[dict[str, str]]:
    """Recipes and methods with paper, training and cost, also those whose extra is not installed."""
    rows = []
    for name in names():
        recipe = load(name)
        kind = "method" if name == recipe.method else f"recipe of {recipe.method}"
        try:
            info = recipe.info
            extra = f"extra {info.extra}" if info.extra else "core"
        except MissingExtraError as error:
            info, extra = MethodInfo("?", "?", "?"), f"extra {error.extra}, not installed"
        rows.append(
            {
                "name": name,
                "kind": kind,
                "paper": info.paper,
                "training": info.training,
                "cost": info.cost,
                "needs": extra,
            }
        )
    return rows


WITHOUT_TRAINING = Recipe(
    "training-free",
    "zscore",
    ComponentRule(),
    Calibrated(1.5, 26),
    "the best rule without training on synthetic scans",
    (NormalPlaces(1.0), Smooth(1.5), BrainRim(3.0)),
)
"""Chosen on synthetic scans alone (docs/methods.md)."""

_RECIPES = (
    Recipe("paper", "histeq", ComponentRule(20, 26, legacy_filled_area=True), None, "the published method"),
    Recipe("brightest", "histeq", ComponentRule(), BrainQuantile(0.98), "the brightest 2 % of the brain"),
    WITHOUT_TRAINING,
)

NEEDED_BY_DEFAULT = ("torch", "monai", "safetensors")
"""Packages of the extra `deep` without which `default` is `WITHOUT_TRAINING`."""


def default() -> Recipe:
    """What runs if nobody says: the network trained on synthetic scans, else the best rule that needs no training."""
    missing = [name for name in NEEDED_BY_DEFAULT if importlib.util.find_spec(name) is None]
    if not missing and not registry.load("methods", "synthetic_unet").shipped.exists():
        return replace(WITHOUT_TRAINING, name="default", why="the best rule without training, for lack of weights")
    if not missing:
        why = "the network trained on synthetic scans, because the extra deep is installed"
        return replace(_of_method("synthetic_unet"), name="default", why=why)
    why = f"the best rule without training, because {missing[0]} is missing (pip install 'flairline[deep]' adds it)"
    return replace(WITHOUT_TRAINING, name="default", why=why)


def names() -> list[str]:
    """Names of the recipes, and of the methods, each of which is a recipe with the usual post-processing."""
    return sorted({"default", *(recipe.name for recipe in _RECIPES), *registry.names("methods")})


def load(name: str) -> Recipe:
    """The recipe of that name, or the method of that name with the usual post-processing.

    ``METHOD=FOLDER`` takes the model in FOLDER. A method has no threshold rule of its own unless its model says one.

    Raises
    ------
    UnknownNameError
        With the closest name.
    """
    name, _, model = name.partition("=")
    if name == "default" and not model:
        return default()
    for recipe in _RECIPES:
        if recipe.name == name and not model:
            return recipe
    if name not in registry.names("methods"):
        raise UnknownNameError("method or recipe", name, names())
    return _of_method(name, Path(model) if model else None)


def model_sha256(model: Path) -> str:
    """Hash of a model folder's weights. Raises `InputError` if there are none."""
    return sha256(model / WEIGHTS)


def _of_method(name: str, model: Path | None = None) -> Recipe:
    shown = name if model is None else f"{name}={model}"
    if name == "synthetic_unet":
        folder = model or registry.load("methods", name).shipped
        return Recipe(shown, name, ComponentRule(MIN_UNET_VOXELS), ModelThreshold(folder, name), model=model)
    if model is not None and (family := getattr(registry.load("methods", name), "family", None)) is not None:
        return Recipe(shown, name, threshold=healthy_quantile(model, family, name), model=model)
    return Recipe(shown, name, model=model)
