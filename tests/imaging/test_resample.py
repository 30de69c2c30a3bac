import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flairline.imaging.resample import (
    covered_by,
    index_resize,
    index_resize_space,
    mask_partial_volume,
    resample_mask,
    resample_volume,
)
from flairline.types import Mask, Space, Volume

SHAPE = (7, 8, 9)
SPACE = Space(SHAPE, np.diag([2, 2, 2, 1.0]))


def shifted(by_mm: tuple[float, float, float], shape=SHAPE, side_mm: float = 2.0) -> Space:
    affine = np.diag([side_mm, side_mm, side_mm, 1.0])
    affine[:3, 3] = by_mm
    return Space(shape, affine)


def ramp(space: Space) -> np.ndarray:
    """x + 2 y + 3 z in mm: linear interpolation gives it back exactly."""
    voxels = np.indices(space.shape).reshape(3, -1)
    mm = space.vox_to_ras[:3, :3] @ voxels + space.vox_to_ras[:3, 3:]
    return (np.array([1, 2, 3.0]) @ mm).reshape(space.shape).astype(np.float32)


def test_the_own_grid_changes_nothing():
    array = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    np.testing.assert_array_equal(resample_volume(Volume(array, SPACE), SPACE).array, array)


def test_places_are_kept_in_mm():
    onto = shifted((3.0, 2.5, 4.0), (4, 5, 6), 1.5)
    np.testing.assert_allclose(resample_volume(Volume(ramp(SPACE), SPACE), onto).array, ramp(onto), atol=1e-4)


def test_beyond_the_field_of_view():
    onto = shifted((-4, 0, 0))
    moved = resample_volume(Volume(np.ones(SHAPE, np.float32), SPACE), onto, outside=-7).array
    assert (moved[:2] == -7).all() and (moved[2:] == 1).all()
    covered = covered_by(SPACE, onto)
    assert not covered[:2].any() and covered[2:].all()


def test_a_mask_is_set_from_half_its_voxel_on():
    array = np.zeros(SHAPE, bool)
    array[3] = True
    for shift_mm, expected in ((0.9, 1), (1.0, 2), (1.1, 1)):
        onto = shifted((shift_mm, 0, 0))
        assert resample_mask(Mask(array, SPACE), onto).array[:, 4, 4].sum() == expected
        assert 0 <= mask_partial_volume(Mask(array, SPACE), onto).min() <= 1


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_index_resize_takes_floor_i_n_over_side(x, y, side):
    array = np.arange(x * y * 2).reshape(x, y, 2)
    expected = [[array[int(i * x // side), int(j * y // side)] for j in range(side)] for i in range(side)]
    np.testing.assert_array_equal(index_resize(array, side), np.array(expected).reshape(side, side, 2))
    np.testing.assert_array_equal(index_resize(array[:, :, 0], side), np.array(expected)[:, :, 0])


def test_index_resize_is_torchs_nearest():
    torch = pytest.importorskip("torch", reason="needs the extra deep")
    array = np.random.default_rng(0).normal(size=(240, 240)).astype(np.float32)
    for side in (128, 224):
        nearest = torch.nn.functional.interpolate(torch.from_numpy(array)[None, None], (side, side), mode="nearest")
        np.testing.assert_array_equal(index_resize(array, side), nearest.numpy()[0, 0])


def test_the_resized_grid_has_larger_voxels():
    space = index_resize_space(Space((240, 240, 155), np.eye(4)), 128)
    assert space.shape == (128, 128, 155)
    np.testing.assert_allclose(space.spacing_mm, (1.875, 1.875, 1))
