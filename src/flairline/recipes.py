"""What a user runs: a method, its post-processing and a threshold rule that needs no labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flairline import registry
from flairline.errors import MissingExtraError, UnknownNameError
from flairline.postprocess.components import ComponentRule
from flairline.postprocess.steps import Step
from flairline.postprocess.threshold import BrainQuantile, ThresholdRule, mask_from_score
from flairline.types import Mask, MethodInfo, Scan, Scorer, Threshold, Volume

FIXED_SHARE_NOTE = "a fixed share of every brain, not a measurement"

FALLBACK_THRESHOLD = BrainQuantile(0.98)
"""What `segment` takes where neither the user nor the recipe says: the brightest 2 % of the brain."""


@dataclass(frozen=True)
class Recipe:
    """A method with everything that makes a mask of its score.

    Attributes
    ----------
    threshold
        The recipe's own label-free rule; None where it has none, and then its per-subject Dice is NaN.
    steps
        What happens to the score before the threshold, in order.
    """

    name: str
    method: str
    components: ComponentRule = field(default_factory=ComponentRule)
    threshold: ThresholdRule | None = None
    why: str = ""
    steps: tuple[Step, ...] = ()

    def configured(self) -> Any:
        """The method's configuration object. Raises `UnknownNameError` or `MissingExtraError`."""
        return registry.load("methods", self.method)()

    def scorer(self) -> Scorer:
        """The method's scorer and the recipe's steps, ready to use."""
        score = self.configured().fit(())
        return partial(_stepped, score, self.steps) if self.steps else score

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
    for step in steps:
        score = step(scan, score)
    return score


@dataclass(frozen=True)
class Segmentation:
    """What a recipe found in a scan."""

    scan: Scan
    score: Volume
    mask: Mask
    threshold: Threshold


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


_RECIPES = (
    Recipe("paper", "histeq", ComponentRule(20, 26, legacy_filled_area=True), None, "the published method"),
    Recipe("default", "histeq", ComponentRule(), BrainQuantile(0.98), "the paper's method needs no training"),
)


def names() -> list[str]:
    """Names of the recipes, and of the methods, each of which is a recipe with the usual post-processing."""
    return sorted({*(recipe.name for recipe in _RECIPES), *registry.names("methods")})


def load(name: str) -> Recipe:
    """The recipe of that name, or the method of that name with the usual post-processing and no threshold rule.

    Raises
    ------
    UnknownNameError
        With the closest name.
    """
    for recipe in _RECIPES:
        if recipe.name == name:
            return recipe
    if name not in registry.names("methods"):
        raise UnknownNameError("method or recipe", name, names())
    return Recipe(name, name)
