"""What every metric that is found must keep to, whoever wrote it."""

import inspect

import numpy as np
import pytest

from flairline import registry
from flairline.evaluation.counts import Counts
from flairline.evaluation.judged_scan import JudgedScan

VOCABULARY = {"counts", "score", "mask", "mask_at_oracle", "truth", "brain", "spacing_mm"}
SHAPE = (7, 8, 9)
ALWAYS_DEFINED = {"false_positive_ml", "false_islands_ml", "volume_error_ml"}
OF_TOUCHED_LESIONS = {"false_far_ml", "false_border_ml", "missed_inside_ml"}
"""They look at nothing but lesions that are touched and at what touches one."""


@pytest.fixture(params=registry.names("metrics"))
def metric(request):
    function = registry.load("metrics", request.param)
    function.plug_in = request.param
    return function


def words(truth: np.ndarray, mask: np.ndarray | None = None, found: np.ndarray | None = None) -> dict:
    """What a metric may ask for; the score is noise with the truth above it, or 1 where something was `found`."""
    rng = np.random.default_rng(0)
    brain = np.ones(SHAPE, bool)
    brain[0] = False
    score = np.where(brain, rng.random(SHAPE) + truth if found is None else found, 0).astype(np.float32)
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
    assert isinstance(value, (float, int)) and not isinstance(value, bool) and np.isfinite(value)


def test_it_tells_a_perfect_result_from_a_poor_one(metric, truth):
    """The truth itself as score and mask, and a score and mask that see nothing of it."""
    elsewhere = np.roll(truth, 4, axis=1)
    assert not (truth & elsewhere).any()
    if metric.plug_in in OF_TOUCHED_LESIONS:  # half of it, and over its end by two, four and six mm
        elsewhere = truth.copy()
        elsewhere[2:5, 2:5, 2:4], elsewhere[2:5, 2:5, 6:] = False, True
        elsewhere[1, 1, 1] = True
    perfect, poor = words(truth, truth, truth), words(truth, elsewhere, elsewhere)
    values = call(metric, perfect), call(metric, poor)
    if metric.plug_in == "threshold_oracle":  # where nothing is found, all has to be marked
        assert values[0] == 1 and values[1] <= 0
    elif metric.plug_in == "volume_error_ml":  # as large, only elsewhere
        assert values == (0, 0)
    else:
        assert np.isfinite(values).all() and values[0] != values[1]


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
    elif metric.plug_in in {"false_far_ml", "false_border_ml"}:  # no component touches a lesion
        assert value == 0
    else:
        assert np.isnan(value) or (metric.plug_in == "ppv" and value == 0)


def test_an_empty_mask_is_no_error_and_no_success(metric, truth):
    value, perfect = (call(metric, words(truth, mask)) for mask in (np.zeros(SHAPE, bool), truth))
    assert not np.isinf(value)
    if not {"mask", "mask_at_oracle"} & set(inspect.signature(metric).parameters):
        assert value == perfect  # it looks at no mask
    elif metric.plug_in.startswith("false_") or metric.plug_in == "missed_inside_ml":
        assert value == perfect == 0  # all of it is missed, nothing is touched
    else:
        assert value != perfect, "an empty mask must not look like a perfect one"


def test_a_flip_changes_nothing(metric, truth):
    given = words(truth)
    flipped = {
        name: np.ascontiguousarray(value[::-1, :, ::-1]) if isinstance(value, np.ndarray) else value
        for name, value in given.items()
    }
    assert call(metric, flipped) == pytest.approx(call(metric, given), nan_ok=True)
