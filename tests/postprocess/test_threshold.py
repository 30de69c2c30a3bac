import numpy as np
import pytest

from flairline.errors import InputError
from flairline.imaging.components import ComponentRule
from flairline.postprocess.threshold import BrainQuantile, GivenValue, mask_from_score, parse_threshold
from flairline.types import Mask, Space, Threshold, Volume

SHAPE = (7, 8, 9)
SPACE = Space(SHAPE, np.eye(4))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("0.95", GivenValue(0.95)),
        ("-2", GivenValue(-2.0)),
        ("1e3", GivenValue(1000.0)),
        ("q0.98", BrainQuantile(0.98)),
        ("q.5", BrainQuantile(0.5)),
    ],
)
def test_what_is_understood(text, rule):
    assert parse_threshold(text) == rule


@pytest.mark.parametrize(
    "text", ["", "q", "high", "q0", "q1", "q1.5", "q-0.1", "nan", "inf", "qnan", "qq0.5", "0,95", "98%"]
)
def test_what_is_not(text):
    with pytest.raises(InputError, match="Wanted a threshold like"):
        parse_threshold(text)


def test_a_quantile_is_that_of_the_brain_and_marks_the_rest_of_it():
    score = np.arange(504, dtype=np.float32).reshape(SHAPE)
    brain = score >= 304  # 200 voxels
    threshold = BrainQuantile(0.9).choose(Volume(score, SPACE), Mask(brain, SPACE))
    assert threshold.rule == "quantile 0.9 of the brain" and threshold.chosen_on == "this scan"
    assert threshold.value in score[brain]
    marked = (score >= threshold.value) & brain
    assert marked.sum() == 20


def test_a_given_value_says_that_the_user_chose_it():
    assert GivenValue(0.3).choose(None, None) == Threshold(0.3, "given", "user")


def test_a_score_at_the_threshold_is_marked_and_only_the_brain_is():
    score = np.zeros(SHAPE, np.float32)
    score[1:4, 1:4, 1:4] = np.float32(0.95)
    score[5, 5, 5] = 1  # outside the brain
    brain = score == np.float32(0.95)
    mask = mask_from_score(
        Volume(score, SPACE), Mask(brain, SPACE), Threshold(0.95, "given", "user"), ComponentRule(20)
    )
    np.testing.assert_array_equal(mask.array, brain)
