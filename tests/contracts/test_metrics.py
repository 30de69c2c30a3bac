"""What every metric that is found must keep to, whoever wrote it."""

import inspect

import numpy as np
import pytest

from flairline import registry
from flairline.evaluation.counts import Counts
from flairline.evaluation.judged_scan import JudgedScan

VOCABULARY = {"counts", "score", "mask", "mask_at_oracle", "truth", "brain", "spacing_mm"}
SHAPE = (7, 8, 9)
ALWAYS_DEFINED = {"false_positive_ml", "volume_error_ml"}


@pytest.fixture(params=registry.names("metrics"))
def metric(request):
    function = registry.load("metrics", request.param)
    function.plug_in = request.param
    return function


def words(truth: np.ndarray, mask: np.ndarray | None = None) -> dict:
    rng = np.random.default_rng(0)
    brain = np.ones(SHAPE, bool)
    brain[0] = False
    score = np.where(brain, rng.random(SHAPE) + truth, 0).astype(np.float32)
    counts = Counts.empty()
    counts.update(JudgedScan.from_arrays(score, truth, brain, False), "one", 3)
    mask = (score > 0.9) if mask is None else mask
    return {
        "counts": counts,
        "score": score,
        "mask": mask,
        "mask_at_oracle": mask,
        "truth": truth,
        "brain": brain,
        "spacing_mm": (1.0, 1.5, 2.0),
    }


def call(metric, given: dict) -> float:
    return metric(**{name: given[name] for name in inspect.signature(metric).parameters})


@pytest.fixture
def truth() -> np.ndarray:
    array = np.zeros(SHAPE, bool)
    array[2:5, 2:5, 2:6] = True
    return array


def test_its_words_are_of_the_fixed_vocabulary(metric):
    parameters = inspect.signature(metric).parameters
    assert parameters and set(parameters) <= VOCABULARY
    assert all(parameter.default is inspect.Parameter.empty for parameter in parameters.values())


def test_it_has_a_docstring_that_says_when_it_is_undefined(metric):
    assert "NaN" in metric.__doc__ or "always defined" in metric.__doc__ or "As `dice`" in metric.__doc__


def test_it_gives_a_finite_number_where_there_is_a_lesion(metric, truth):
    value = call(metric, words(truth))
    assert isinstance(float(value), float) and np.isfinite(value)


def test_it_changes_nothing_and_repeats(metric, truth):
    given = words(truth)
    before = {name: value.copy() for name, value in given.items() if isinstance(value, np.ndarray)}
    assert call(metric, given) == call(metric, given)
    for name, value in before.items():
        np.testing.assert_array_equal(given[name], value)


def test_without_lesions_it_is_nan_or_a_volume(metric):
    """Never 0, 0.5 or an error: undefined is NaN. What was marked in vain is defined, and so is its precision: 0."""
    value = call(metric, words(np.zeros(SHAPE, bool)))
    if metric.plug_in in ALWAYS_DEFINED:
        assert value > 0
    else:
        assert np.isnan(value) or (metric.plug_in == "ppv" and value == 0)


def test_an_empty_mask_is_no_error(metric, truth):
    value = call(metric, words(truth, np.zeros(SHAPE, bool)))
    assert np.isnan(value) or np.isfinite(value)


def test_a_flip_changes_nothing(metric, truth):
    given = words(truth)
    flipped = {
        name: np.ascontiguousarray(value[::-1, :, ::-1]) if isinstance(value, np.ndarray) else value
        for name, value in given.items()
    }
    assert call(metric, flipped) == pytest.approx(call(metric, given), nan_ok=True)
