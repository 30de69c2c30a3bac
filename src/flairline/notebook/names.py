"""What is known, by name: `recipe`, `method`, `protocol`, `list_methods`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flairline.evaluation.protocols import Protocol
    from flairline.methods.base import Method
    from flairline.recipes import Recipe


def recipe(name: str) -> Recipe:
    """A method with all that makes a mask of its score: steps, threshold rule, component rule.

    Parameters
    ----------
    name
        A name of `list_methods`; METHOD=FOLDER takes the model in a folder.

    Raises
    ------
    UnknownNameError
        There is none; the closest name is told.

    Examples
    --------
    >>> import flairline as fl
    >>> chosen = fl.recipe("brightest")
    >>> chosen.method, chosen.threshold
    ('histeq', BrainQuantile(quantile=0.98))
    """
    from flairline import recipes

    return recipes.load(name)


def method(name: str) -> Method:
    """A method with its usual configuration: `info` says what it is, `fit(scans)` gives its scorer.

    A scorer is a function from a `Scan` to a `Volume` on the scan's grid: higher is more abnormal, zero outside the
    brain.

    Raises
    ------
    UnknownNameError
        There is none; the closest name is told.
    MissingExtraError
        It needs a package that is not installed.

    Examples
    --------
    >>> import flairline as fl
    >>> scan, truth = fl.demo_scan()
    >>> score = fl.method("histeq").fit([])(scan)
    >>> score.array.shape == scan.space.shape, float(score.array[~scan.brain.array].max())
    (True, 0.0)
    """
    from flairline.methods.base import load_method

    return load_method(name)()


def protocol(name: str) -> Protocol:
    """How published numbers are made, as data: grid, slices, thresholds, filters.

    Raises
    ------
    UnknownNameError
        There is none; the closest name is told.

    Examples
    --------
    >>> import flairline as fl
    >>> fl.protocol("sound").brain_only
    True
    """
    from flairline.evaluation import protocols

    return protocols.load(name)


def list_methods() -> list[dict[str, str]]:
    """Every method and recipe with its paper, training and cost, as plain rows: `pandas.DataFrame(list_methods())`.

    Examples
    --------
    >>> import flairline as fl
    >>> [row["kind"] for row in fl.list_methods() if row["name"] in ("brightest", "histeq")]
    ['recipe of histeq', 'method']
    """
    from flairline import recipes

    return recipes.listing()
