"""Lesions one by one, on shapes whose answers can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from flairline.evaluation.lesions import BySize, count_hits, dice_of_lesions


def boxes(*sides: tuple[slice, slice, slice]) -> np.ndarray:
    array = np.zeros((20, 9, 8), dtype=bool)
    for side in sides:
        array[side] = True
    return array


TRUTH = boxes(np.s_[0:2, 0:2, 0:2], np.s_[4:8, 0:2, 0:2], np.s_[14:15, 0:1, 0:1])  # 8, 16 and 1 voxels


def test_dice_of_each_lesion_is_with_the_components_that_touch_it():
    mask = boxes(np.s_[1:3, 0:2, 0:2], np.s_[17:20, 5:8, 5:7])  # 8 voxels, 4 of them in the first; one far away
    sizes, dice = dice_of_lesions(TRUTH, mask)
    assert sizes.tolist() == [8, 16, 1]
    assert dice == pytest.approx([2 * 4 / (8 + 8), 0, 0])


def test_a_lesion_in_two_pieces_and_two_lesions_in_one():
    mask = boxes(np.s_[4:5, 0:2, 0:2], np.s_[7:8, 0:2, 0:2])  # two pieces of 4 in the second lesion
    assert dice_of_lesions(TRUTH, mask)[1] == pytest.approx([0, 2 * 8 / (16 + 8), 0])
    mask = boxes(np.s_[0:8, 0:2, 0:2])  # 32 voxels over the first two
    assert dice_of_lesions(TRUTH, mask)[1] == pytest.approx([2 * 8 / (8 + 32), 2 * 16 / (16 + 32), 0])


def test_without_lesions_or_without_a_mask():
    nothing = boxes()
    assert [part.size for part in dice_of_lesions(nothing, TRUTH)] == [0, 0]
    assert dice_of_lesions(TRUTH, nothing)[1].tolist() == [0, 0, 0]


def test_hits_are_those_that_are_counted_elsewhere():
    rng = np.random.default_rng(4)
    truth, mask = rng.random((2, 17, 13, 11)) < 0.06
    _, dice = dice_of_lesions(truth, mask)
    assert (np.count_nonzero(dice > 0), dice.size) == count_hits(truth, mask)


def test_classes_are_closed_below_and_open_above_and_add_up():
    by_size = BySize()
    mask = boxes(np.s_[4:8, 0:2, 0:2])
    for _ in range(2):
        by_size.add(TRUTH, mask, voxel_ml=0.0125)  # .1, .2 and .0125 ml
    assert list(by_size.rows()) == [
        {"low_ml": 0.0, "high_ml": 0.1, "lesions": 2, "hit": 0, "dice": 0.0},
        {"low_ml": 0.1, "high_ml": 1.0, "lesions": 4, "hit": 2, "dice": 0.5},
    ]
