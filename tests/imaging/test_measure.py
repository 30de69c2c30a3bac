from __future__ import annotations

import numpy as np
import pytest

from flairline.imaging.measure import dice, lesions_of
from flairline.types import Lesion, Mask, Space

SPACE = Space((12, 13, 14), np.array([[2.0, 0, 0, -11], [0, 1.0, 0, 5], [0, 0, 3.0, 7], [0, 0, 0, 1]]))


@pytest.fixture
def brain():
    return Mask(np.ones(SPACE.shape, np.bool_), SPACE)


@pytest.fixture
def mask():
    array = np.zeros(SPACE.shape, np.bool_)
    array[1, 2, 3] = True
    array[9:11, 4, 5] = True
    return Mask(array, SPACE)


def test_lesions_come_from_the_largest_with_volume_side_and_centre(mask, brain):
    assert lesions_of(mask, brain) == [
        Lesion(2 * 0.006, 2, (2 * 9.5 - 11, 9.0, 22.0), "right"),
        Lesion(pytest.approx(0.006), 1, (-9.0, 7.0, 16.0), "left"),
    ]


def test_each_lesion_keeps_its_own_probability(mask, brain):
    found = lesions_of(mask, brain, lambda labels: np.array([0.25, 0.75]))
    assert [(lesion.voxels, lesion.probability) for lesion in found] == [(2, 0.75), (1, 0.25)]


def test_an_empty_mask_has_no_lesions(mask, brain):
    assert lesions_of(Mask(mask.array & False, SPACE), brain) == []


def test_dice_by_hand():
    left, right = np.array([True, True, False, False]), np.array([False, True, True, True])
    assert dice(left, right) == pytest.approx(2 * 1 / 5)
    assert np.isnan(dice(left & False, right & False))
