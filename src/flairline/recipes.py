"""Recipes by name: what a user runs. The methods make them; this only asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from flairline import registry
from flairline.errors import InputError, MissingExtraError, UnknownNameError
from flairline.learning.model import ModelFolder, Stamp
from flairline.methods.base import Method, Reconstructs, candidate, giver, load_method, reconstructing
from flairline.postprocess.recipe import FIXED_SHARE_NOTE, Rating, Recipe, usual_recipe
from flairline.postprocess.threshold import BrainQuantile
from flairline.types import MethodInfo, Scorer

__all__ = [
    "DEFAULT",
    "FALLBACK_THRESHOLD",
    "FIXED_SHARE_NOTE",
    "Rating",
    "Recipe",
    "default",
    "listing",
    "load",
    "model_sha256",
    "names",
    "ready_reconstruction",
    "ready_scorer",
]

DEFAULT = "default"
"""What runs if nobody says."""
FALLBACK_THRESHOLD = BrainQuantile(0.98)
"""What `segment` takes where neither the user nor the recipe says: the brightest 2 % of the brain."""


def load(name: str) -> Recipe:
    """The recipe of that name, or the method of that name with the usual post-processing.

    ``METHOD=FOLDER`` takes the model in FOLDER. A method has no threshold rule of its own unless it or its model says
    one.

    Raises
    ------
    UnknownNameError
        With the closest name.
    ModelError
        The model folder is missing, broken, foreign or newer.
    """
    name, _, folder = name.partition("=")
    model = Path(folder) if folder else None
    if name == DEFAULT and model is None:
        return default()
    if name in registry.names("methods"):
        gives = giver(load_method(name)())
        own = gives is not None and name in gives.info.recipes
        return gives.recipe(name, model) if gives is not None and own else usual_recipe(name, model)
    for method in _installed() if model is None else ():
        gives = giver(method)
        if gives is not None and name in gives.info.recipes:
            return gives.recipe(name)
    raise UnknownNameError("method or recipe", name, names())


def default() -> Recipe:
    """The recipe of the first method that nothing keeps from running here, in the order of their `default_rank`.

    Only flairline's own methods are asked, so that another package does not change what runs if nobody says.

    Raises
    ------
    InputError
        None can run.
    """
    methods = (load_method(name)() for name in registry.own_names("methods"))
    asked = [method for method in map(candidate, methods) if method is not None]
    obstacles: list[str] = []
    for method in sorted(asked, key=lambda method: method.info.default_rank):
        if obstacle := method.obstacle():
            obstacles.append(obstacle)
            continue
        recipe = method.recipe(DEFAULT)
        return replace(recipe, why=", ".join([recipe.why, *obstacles]))
    msg = f"No method can run here ({'; '.join(obstacles)}). Name one: flairline methods lists them."
    raise InputError(msg)


def names() -> list[str]:
    """Names of the recipes, and of the methods, each of which is a recipe with the usual post-processing."""
    given = (name for method in _installed() for name in method.info.recipes)
    return sorted({DEFAULT, *given, *registry.names("methods")})


def listing() -> list[dict[str, str]]:
    """Recipes and methods with paper, training and cost, also those whose extra is not installed."""
    rows = []
    for name in names():
        try:
            recipe = load(name)
            kind = "method" if name == recipe.method else f"recipe of {recipe.method}"
            info = recipe.info
            extra = f"extra {info.extra}" if info.extra else "core"
        except MissingExtraError as error:
            kind, info, extra = "method", MethodInfo("?", "?", "?"), f"{error.missing}, not installed"
        about = {"paper": info.paper, "training": info.training, "cost": info.cost}
        rows.append({"name": name, "kind": kind, **about, "needs": extra})
    return rows


def ready_scorer(recipe: Recipe) -> Scorer:
    """The recipe's scorer, made once in each process: a model is read once, not for every scan."""
    return _ready(recipe, () if recipe.model is None else ModelFolder(recipe.model).stamp)


def ready_reconstruction(recipe: Recipe) -> Reconstructs | None:
    """The recipe's scorer as one that reconstructs; None if its method does not, or steps come after it."""
    return None if recipe.steps else reconstructing(recipe.configured(), ready_scorer(recipe))


def model_sha256(model: Path) -> str:
    """Hash of a model folder's weights. Raises `InputError` if there are none."""
    return ModelFolder(model).sha256


@lru_cache(maxsize=8)
def _ready(recipe: Recipe, stamp: Stamp) -> Scorer:
    return recipe.scorer()


def _installed() -> Iterator[Method]:
    """Every method that can be imported, flairline's own first."""
    own = registry.own_names("methods")
    for name in [*own, *(name for name in registry.names("methods") if name not in own)]:
        try:
            yield load_method(name)()
        except MissingExtraError:
            continue
