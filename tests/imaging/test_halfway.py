"""Half of a registration, the same from either side."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conftest import rotation

from flairline.errors import InputError
from flairline.imaging.halfway import halfway_maps, halfway_space, turn_degrees
from flairline.types import Mask, Space


def rigid(x_degrees, z_degrees, shift_mm):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(x_degrees, z_degrees), shift_mm
    return matrix


def test_half_of_the_way_twice_is_the_whole_way():
    whole = rigid(12, -7, (8, -3, 5))
    to_earlier, to_later = halfway_maps(whole, np.linalg.inv(whole))
    np.testing.assert_allclose(to_later.ras_to_ras @ to_earlier.inverse().ras_to_ras, whole, atol=1e-9)
    np.testing.assert_allclose(to_later.ras_to_ras @ to_later.ras_to_ras, whole, atol=1e-9)
    assert 2 * turn_degrees(to_later) == pytest.approx(np.degrees(np.arccos((np.trace(whole[:3, :3]) - 1) / 2)))


def test_registrations_that_do_not_agree_are_averaged_and_exchange_with_the_visits():
    there, back = rigid(12, -7, (8, -3, 5)), np.linalg.inv(rigid(13, -6, (7, -3, 6)))
    first, second = halfway_maps(there, back), halfway_maps(back, there)
    for ours, theirs in zip(first, second[::-1], strict=True):
        np.testing.assert_allclose(ours.ras_to_ras, theirs.ras_to_ras, atol=1e-9)


def test_affine_maps_have_halves_too():
    whole = rigid(5, 0, (1, 2, 3)) @ np.diag([1.1, 0.95, 1.0, 1.0])
    _, to_later = halfway_maps(whole, np.linalg.inv(whole))
    np.testing.assert_allclose(to_later.ras_to_ras @ to_later.ras_to_ras, whole, atol=1e-9)


def test_a_head_upside_down_is_refused():
    with pytest.raises(InputError, match="upside down"):
        halfway_maps(np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.diag([1.3, 1.0, 1.0, 1.0]), np.diag([-1.0, -1.0, 1.0, 1.0]))


def test_the_grid_holds_both_brains_and_a_margin():
    space = Space((10, 12, 14), np.diag([2.0, 2.0, 2.0, 1.0]))
    brain = Mask(np.ones(space.shape, bool), space)
    maps = halfway_maps(rigid(0, 0, (20, 0, 0)), rigid(0, 0, (-20, 0, 0)))
    grid = halfway_space((brain, brain), maps, 1.5)
    low, high = grid.vox_to_ras[:3, 3], grid.vox_to_ras[:3, 3] + 1.5 * (np.array(grid.shape) - 1)
    # The earlier brain lies 10 mm higher in x half-way, the later one 10 mm lower.
    assert (low <= np.array([-10, 0, 0]) - 8).all() and (high >= np.array([18 + 10, 22, 26]) + 8).all()
    assert low[0] > -10 - 8 - 1.6 and grid.spacing_mm == pytest.approx((1.5, 1.5, 1.5))
