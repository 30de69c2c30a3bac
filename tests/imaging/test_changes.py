"""Which lesions are one, and what became of them."""

from __future__ import annotations

import numpy as np
import pytest

from flairline.imaging import changes
from flairline.imaging.measure import lesions_of
from flairline.imaging.points import PointMap
from flairline.types import Mask, Space

SPACE = Space((12, 13, 14), np.eye(4))


def mask_of(*boxes):
    array = np.zeros(SPACE.shape, bool)
    for low, high in boxes:
        array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return Mask(array, SPACE)


A, B, C = ((1, 1, 1), (3, 3, 3)), ((6, 6, 6), (9, 9, 9)), ((1, 9, 9), (2, 11, 11))


def test_lesions_are_numbered_as_their_table_lists_them():
    mask = mask_of(A, B, C)
    labels = changes.numbered(mask)
    brain = Mask(np.ones(SPACE.shape, bool), SPACE)
    for number, lesion in enumerate(lesions_of(mask, brain), start=1):
        assert lesion.voxels == np.count_nonzero(labels == number)
        np.testing.assert_allclose(np.argwhere(labels == number).mean(axis=0), lesion.centre_mm)
    assert changes.volumes_of(labels, 0.001) == pytest.approx([0.027, 0.008, 0.004])


def test_lesions_that_touch_at_a_corner_are_one_and_all_others_are_not():
    corner, apart = ((3, 3, 3), (4, 4, 4)), ((10, 0, 0), (12, 1, 1))
    earlier, later = changes.numbered(mask_of(A, B)), changes.numbered(mask_of(corner, apart, B))
    assert sorted(changes.linked(earlier, later, (2, 3))) == [((), (2,)), ((1,), (1,)), ((2,), (3,))]


def test_lesions_that_grew_together_are_one_row():
    bridge = ((1, 1, 1), (9, 9, 9))
    assert changes.linked(changes.numbered(mask_of(A, B)), changes.numbered(mask_of(bridge)), (2, 1)) == [
        ((1, 2), (1,))
    ]
    assert changes.linked(changes.numbered(mask_of(A)), changes.numbered(mask_of()), (1, 0)) == [((1,), ())]
    assert changes.linked(changes.numbered(mask_of()), changes.numbered(mask_of()), (0, 0)) == []


def test_a_lesion_between_the_voxels_of_a_coarse_grid_is_kept():
    labels = changes.numbered(mask_of(((2, 2, 2), (3, 3, 3))))
    coarse = Space((3, 3, 3), np.diag([4.0, 4.0, 4.0, 1.0]))
    carried = changes.carried_labels(labels, SPACE, coarse, PointMap("coarse", "fine", np.eye(4)))
    assert np.count_nonzero(carried == 1) == 1


def test_carrying_goes_by_the_points_and_keeps_the_numbers():
    labels = changes.numbered(mask_of(A, B))
    shifted = np.eye(4)
    shifted[:3, 3] = 2, 0, 1  # points of the other grid lie so much lower there
    carried = changes.carried_labels(labels, SPACE, SPACE, PointMap("onto", "space", shifted))
    np.testing.assert_array_equal(carried[4:7, 6:9, 5:8], 1)
    assert np.count_nonzero(carried == 1) == 27 and [len(p) for p in changes.places_by_number(carried, 3)][::2] == [
        27,
        0,
    ]


@pytest.mark.parametrize(
    ("volumes", "kind"),
    [
        ((0, 1), changes.NEW),
        ((1, 0), changes.RESOLVED),
        ((1, 2), changes.ENLARGING),
        ((2, 1), changes.SHRINKING),
        ((1, 1.05), changes.STABLE),
        ((0, 0.05), changes.STABLE),
    ],
)
def test_kinds(volumes, kind):
    assert changes.kind_of(*volumes, 0.1) == kind


def test_without_a_smallest_change_any_change_counts():
    assert changes.kind_of(1, 1.0001, float("nan")) == changes.ENLARGING
    assert changes.kind_of(1, 1, float("nan")) == changes.STABLE


def test_a_spread_just_explains_the_pair_that_it_came_from():
    spread = changes.Spread(changes.spread_of(1.0, 1.4))
    assert spread.smallest_of_lesion_ml(1.0, 1.4) == pytest.approx(0.4)
    assert spread.smallest_of_lesion_ml(8.0, 8.0) == pytest.approx(spread.of_lesion * 4)


def test_sums():
    sums = changes.sums_by_kind(["new", "new", "stable"], [(0, 1), (0, 2), (3, 3)])
    assert sums["new"] == (2, 0, 3) and sums["stable"] == (1, 3, 3) and sums["resolved"] == (0, 0, 0)
