"""A recipe: a method, what is done to its score, and how that becomes a mask. The methods make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline import registry
from flairline.errors import InputError
from flairline.imaging.components import ComponentRule
from flairline.learning.model import ModelFolder
from flairline.postprocess.box import from_box, to_box
from flairline.postprocess.calibrated import healthy_quantile
from flairline.postprocess.confidence import Rater
from flairline.postprocess.steps import Step
from flairline.postprocess.threshold import ThresholdRule, mask_from_score
from flairline.types import Mask, MethodInfo, Scan, Scorer, Threshold, Volume

FIXED_SHARE_NOTE = "a fixed share of every brain, not a measurement"

Rating = Callable[[NDArray[np.integer]], NDArray[np.floating]]
"""From numbered components (x, y, z) to the probability of each."""


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
    rater
        Tells each component's probability to be a lesion; None: nothing does.
    """

    name: str
    method: str
    components: ComponentRule = field(default_factory=ComponentRule)
    threshold: ThresholdRule | None = None
    why: str = ""
    steps: tuple[Step, ...] = ()
    model: Path | None = None
    rater: Rater | None = None

    def configured(self) -> Any:
        """The method's configuration object. Raises `UnknownNameError` or `MissingExtraError`."""
        return registry.load("methods", self.method)()

    def scorer(self) -> Scorer:
        """The method's scorer and the recipe's steps, ready to use.

        Raises
        ------
        InputError
            A model was given to a method that reads none, or none to one that must learn.
        ModelError
            The model folder is broken.
        """
        method = self.configured()
        if self.model is not None and not self.info.learns_from:
            msg = f"The method {self.method} reads no model, but {self.model} was given. Leave it out."
            raise InputError(msg)
        score = method.fit(()) if self.model is None else method.load(self.model)
        return partial(_stepped, score, self.steps) if self.steps else score

    def sources(self) -> list[dict[str, str]]:
        """Scans that the recipe's model was trained or validated on; none where there is no model of scans."""
        return [] if self.model is None else [source.plain() for source in ModelFolder(self.model).sources()]

    def rating(self, score: Volume) -> Rating | None:
        """What tells each numbered component's probability to be a lesion; None if the method's model says nothing."""
        return None if self.rater is None else partial(self.rater.rate, score)

    @property
    def info(self) -> MethodInfo:
        """What the method says of itself."""
        return registry.load("methods", self.method).info

    def note(self, rule: ThresholdRule) -> str:
        """What a reader must know about a mask made with this rule; empty if there is nothing to warn of."""
        return FIXED_SHARE_NOTE if self.info.marks_fixed_share or rule.marks_fixed_share else ""

    def mask(self, score: Volume, brain: Mask, rule: ThresholdRule) -> tuple[Mask, Threshold]:
        """Threshold and filter a score."""
        threshold = rule.choose(score, brain)
        return mask_from_score(score, brain, threshold, self.components), threshold


def usual_recipe(method: str, model: Path | None = None) -> Recipe:
    """A method with the usual post-processing; the threshold is what its model's held-out healthy brain says.

    Raises
    ------
    ModelError
        The model folder is missing, broken, foreign or newer.
    """
    if model is None:
        return Recipe(method, method)
    recipe = Recipe(f"{method}={model}", method, model=model)
    if not recipe.info.learns_from:  # `scorer` says that it reads no model
        return recipe
    rule = healthy_quantile(model, recipe.info.reads or method, method)
    return Recipe(recipe.name, method, threshold=rule, model=model)


def _stepped(scorer: Scorer, steps: tuple[Step, ...], scan: Scan) -> Volume:
    score = scorer(scan)
    inner, changed, where = to_box(scan, score)
    for step in steps:
        changed = step(inner, changed)
    return from_box(changed, where, score.space)
