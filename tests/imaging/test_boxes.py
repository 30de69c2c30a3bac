from __future__ import annotations

import numpy as np
import pytest

from flairline.imaging.boxes import box_of, box_of_mm, extent_without_strays, voxels_in


@pytest.fixture
def mask():
    array = np.zeros((7, 18, 29), np.bool_)
    array[2:4, 5:9, 10:20] = True
    return array


def test_a_box_holds_all_and_its_margin_ends_at_the_volume(mask):
    assert box_of(mask) == (slice(2, 4), slice(5, 9), slice(10, 20))
    assert box_of(mask, 3) == (slice(0, 7), slice(2, 12), slice(7, 23))
    assert box_of(mask, (1, 0, 2)) == (slice(1, 5), slice(5, 9), slice(8, 22))


def test_a_margin_in_mm_is_rounded_up_to_voxels(mask):
    assert box_of_mm(mask, (1.0, 2.0, 4.0), 3.0) == (slice(0, 7), slice(3, 11), slice(9, 21))


def test_the_box_of_nothing_is_the_volume(mask):
    assert box_of(mask & False, 2) == (slice(0, 7), slice(0, 18), slice(0, 29))


def test_a_stray_voxel_does_not_move_the_extent():
    mask = np.zeros((30, 31, 32), np.bool_)
    mask[10:20, 11:21, 12:22] = True
    low, high = extent_without_strays(mask)
    mask[0, 0, 31] = True
    np.testing.assert_array_equal(extent_without_strays(mask), (low, high))
    assert low.tolist() == [10, 11, 12] and high.tolist() == [19, 20, 21]


def test_lengths_take_whole_voxels_but_for_a_headers_rounding():
    found = voxels_in([10, 10, 10, 10.1, 0, -4], [2.0000001, 1.9999999, 3, 2, 1, 2])
    assert found.tolist() == [5, 5, 4, 6, 0, -2]
