"""A recipe: a method, what is done to its score, and how that becomes a mask. The methods make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline import registry
from flairline.errors import InputError
from flairline.imaging.components import ComponentRule, remove_small_components
from flairline.learning.model import ModelFolder, Source
from flairline.postprocess.box import from_box, to_box
from flairline.postprocess.calibrated import healthy_quantile
from flairline.postprocess.confidence import Rater
from flairline.postprocess.mask_rules import MaskRule, after_rules
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
    shipped
        The model folder in the package that `fit` reads; None: the method has none, or `model` is another one.
    rater
        Tells each component's probability to be a lesion; None: nothing does.
    mask_rules
        What happens to the mask after the threshold and before small components go, in order.
    """

    name: str
    method: str
    components: ComponentRule = field(default_factory=ComponentRule)
    threshold: ThresholdRule | None = None
    why: str = ""
    steps: tuple[Step, ...] = ()
    model: Path | None = None
    shipped: Path | None = None
    rater: Rater | None = None
    mask_rules: tuple[MaskRule, ...] = ()

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

    def sources(self) -> list[Source]:
        """Real scans that the recipe's model was trained or validated on; none where there is no model of such."""
        folder = self.model or self.shipped
        return [] if folder is None else ModelFolder(folder).sources()

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
        """Threshold a score, apply the rules of the mask, and filter it."""
        threshold = rule.choose(score, brain)
        if not self.mask_rules:
            return mask_from_score(score, brain, threshold, self.components), threshold
        # The filter goes first as well: what is too small to stay must be no seed of anything.
        found = mask_from_score(score, brain, threshold, self.components)
        ruled = after_rules(found, score, brain, threshold.value, self.mask_rules)
        return Mask(remove_small_components(ruled.array, self.components), score.space), threshold

    def describe(self) -> dict[str, Any]:
        """Its fields as plain values; `mask_rules`, each by its name, only where there are any."""
        fields = asdict(self)
        del fields["shipped"]  # where a package lies says nothing of what it does
        rules = fields.pop("mask_rules")
        names = (type(rule).__name__ for rule in self.mask_rules)
        return {**fields, "mask_rules": dict(zip(names, rules, strict=True))} if rules else fields

    def without_each_rule(self) -> list[tuple[str, Recipe]]:
        """The recipe with one rule of the mask left out after the other, and with none, by what is left out."""
        rules = self.mask_rules
        left = [(repr(rule), (*rules[:place], *rules[place + 1 :])) for place, rule in enumerate(rules)]
        several = [("all rules of the mask", ())] if len(rules) > 1 else []
        return [(what, replace(self, mask_rules=kept)) for what, kept in [*left, *several]]


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
