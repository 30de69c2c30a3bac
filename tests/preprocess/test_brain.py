import numpy as np
import pytest

from flairline.errors import BrainError
from flairline.preprocess.brain import (
    background_value,
    brain_from_background,
    check_brain,
    seen_in,
    without_background_nan,
)
from flairline.types import Mask, Space, Volume

SHAPE = (7, 8, 9)
INSIDE = np.s_[2:5, 2:6, 2:7]


def volume(background: float, inside: np.ndarray | None = None) -> Volume:
    array = np.full(SHAPE, background, np.float32)
    array[INSIDE] = np.random.default_rng(0).normal(100, 30, (3, 4, 5)) if inside is None else inside
    return Volume(array, Space(SHAPE, np.eye(4)))


@pytest.mark.parametrize("background", [0.0, -1.37, 1000.0, np.nan])
def test_the_brain_is_what_differs_from_the_border(background):
    brain = brain_from_background(volume(background)).array
    expected = np.zeros(SHAPE, bool)
    expected[INSIDE] = True
    np.testing.assert_array_equal(brain, expected)


def test_negative_and_zero_scores_of_a_z_scored_brain_belong_to_it():
    inside = np.linspace(-2, 2, 60).reshape(3, 4, 5)
    assert brain_from_background(volume(-3.0, inside)).array.sum() == 60


def test_a_brain_that_touches_the_border_is_found():
    array = np.zeros(SHAPE, np.float32)
    array[:, 2:6, 2:6] = np.random.default_rng(1).normal(100, 9, (7, 4, 4))
    assert brain_from_background(Volume(array, Space(SHAPE, np.eye(4)))).array.sum() == 7 * 16


def test_background_value():
    assert background_value(volume(-1.5).array) == -1.5
    assert np.isnan(background_value(np.random.default_rng(0).normal(size=SHAPE)))


def test_a_scan_with_its_skull_is_refused():
    array = np.random.default_rng(0).normal(100, 9, SHAPE).astype(np.float32)
    with pytest.raises(BrainError, match="no constant background"):
        brain_from_background(Volume(array, Space(SHAPE, np.eye(4))), "head.nii.gz")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_voxel_inside_the_brain_that_is_no_number_is_refused(bad):
    inside = np.random.default_rng(0).normal(100, 9, (3, 4, 5))
    inside[1, 1, 2] = bad
    with pytest.raises(BrainError, match="1 NaN or infinite voxels inside the brain"):
        brain_from_background(volume(0.0, inside))


def test_nan_around_the_field_of_view_is_background():
    scan = volume(0.0)
    scan.array[0], scan.array[:, :, 0] = np.nan, np.nan
    assert brain_from_background(scan).array.sum() == 60


@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_a_constant_scan_is_refused(constant):
    with pytest.raises(BrainError, match="empty"):
        brain_from_background(Volume(np.full(SHAPE, constant, np.float32), Space(SHAPE, np.eye(4))))


def test_an_empty_and_a_constant_brain_are_refused():
    scan = volume(0.0, np.full((3, 4, 5), 7.0))
    with pytest.raises(BrainError, match="empty"):
        check_brain(scan, Mask(np.zeros(SHAPE, bool), scan.space), "scan.nii.gz")
    with pytest.raises(BrainError, match=r"All 60 brain voxels of scan\.nii\.gz have the value 7"):
        check_brain(scan, Mask(scan.array > 0, scan.space), "scan.nii.gz")


def test_only_nan_joined_to_the_border_is_cleared():
    scan = volume(np.nan)
    scan.array[3, 3, 3] = np.nan
    cleared = without_background_nan(scan.array)
    assert np.isnan(cleared).sum() == 1 and np.isnan(cleared[3, 3, 3]) and cleared[0, 0, 0] == 0


@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_a_carried_brain_ends_where_its_image_ends(fill):
    image = np.full((12, 14, 16), fill, np.float32)
    image[2:9, 3:12, 1:13] = np.random.default_rng(0).uniform(1, 9, (7, 9, 12))
    image[5, 6, 7] = 0  # as dark as padding, but in the middle of the head
    space, brain = Space(image.shape, np.eye(4)), np.zeros(image.shape, np.bool_)
    brain[4:11, 5:10, 0:9] = True
    found = seen_in(Mask(brain, space), Volume(image, space)).array
    expected = brain.copy()
    expected[9:] = expected[:, :, :1] = False
    np.testing.assert_array_equal(found, expected)


def test_a_carried_brain_stays_whole_in_a_scan_without_padding():
    noise = np.random.default_rng(0).uniform(0, 9, (6, 7, 8)).astype(np.float32)
    space = Space(noise.shape, np.eye(4))
    brain = Mask(np.ones(noise.shape, np.bool_), space)
    assert seen_in(brain, Volume(noise, space)) is brain
