import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.exposure import equalize_hist

from flairline.methods.histeq import Method, empirical_cdf
from flairline.types import Mask, Scan, Space, Volume

SHAPE = (7, 8, 9)
SPACE = Space(SHAPE, np.eye(4))


def scan_of(values: np.ndarray, seed: int = 0) -> Scan:
    brain = np.random.default_rng(seed).random(SHAPE) < 0.7
    return Scan.of("1", Volume(np.where(brain, values, 0).astype(np.float32), SPACE), Mask(brain, SPACE))


@pytest.mark.parametrize("highest", [3, 50, 4000])
def test_it_is_scikit_images_equalize_hist_on_integers(highest):
    values = np.random.default_rng(highest).integers(1, highest, SHAPE)
    scan = scan_of(values)
    expected = equalize_hist(scan.flair.array.astype(int), mask=scan.brain.array) * scan.brain.array
    np.testing.assert_allclose(Method().fit()(scan).array, expected, atol=1e-6)
    np.testing.assert_array_equal(Method(legacy_integer=True).fit()(scan).array, Method().fit()(scan).array)


def test_legacy_integer_truncates_as_the_published_code_does():
    values = np.random.default_rng(0).random(SHAPE) * 9 - 2
    scan = scan_of(values)
    expected = equalize_hist(scan.flair.array.astype(int), mask=scan.brain.array) * scan.brain.array
    np.testing.assert_allclose(Method(legacy_integer=True).fit()(scan).array, expected, atol=1e-6)
    assert np.unique(Method().fit()(scan).array).size > 100


def test_ties_get_the_upper_rank():
    np.testing.assert_array_equal(empirical_cdf(np.float32([5, 1, 1, 3])), np.float32([1, 0.5, 0.5, 0.75]))


def test_the_background_and_zeros_in_the_brain():
    scan = scan_of(np.random.default_rng(0).integers(-3, 3, SHAPE))  # zeros inside the brain, negative values too
    score = Method().fit()(scan).array
    assert (score[~scan.brain.array] == 0).all() and (score[scan.brain.array] > 0).all()
    assert score.max() == 1 and score.dtype == np.float32


@given(arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e6, 1e6, width=32)))
def test_it_is_the_share_that_is_no_brighter(values):
    expected = [(values <= value).mean() for value in values]
    np.testing.assert_allclose(empirical_cdf(values), expected, rtol=1e-6)


@given(arrays(np.float32, SHAPE, elements=st.floats(0, 1e4, width=32)), st.permutations([0, 1, 2]), st.integers(0, 2))
def test_flips_and_permuted_axes_move_the_score_alike(array, axes, flipped):
    brain = array > np.float32(0.5)
    if np.unique(array[brain]).size < 2:
        return
    score = Method().fit()(Scan.of("1", Volume(array, SPACE), Mask(brain, SPACE))).array

    def moved(image):
        return np.ascontiguousarray(np.flip(image.transpose(axes), flipped))

    space = Space(moved(array).shape, np.eye(4))
    of_moved = Method().fit()(Scan.of("1", Volume(moved(array), space), Mask(moved(brain), space))).array
    np.testing.assert_array_equal(of_moved, moved(score))


def test_a_monotone_change_of_intensities_changes_nothing():
    scan = scan_of(np.random.default_rng(0).random(SHAPE))
    changed = Scan.of("1", Volume(np.exp(scan.flair.array) * 7 - 3, SPACE), scan.brain)
    np.testing.assert_array_equal(Method().fit()(scan).array, Method().fit()(changed).array)
