import numpy as np
import pytest

from flairline.types import Lesion, Mask, Scan, Space, StoredGrid, Volume


def test_spacing_and_volume_of_an_oblique_grid():
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1, 1.5, 2])
    space = Space((7, 8, 9), affine)
    np.testing.assert_allclose(space.spacing_mm, (1, 1.5, 2))
    assert space.voxel_ml == pytest.approx(0.003)
    assert Mask(np.ones((7, 8, 9), bool), space).volume_ml == pytest.approx(504 * 0.003)


def test_same_grid_looks_at_the_corners():
    space = Space((100, 100, 100), np.eye(4))
    nearly, stretched, moved = np.eye(4), np.eye(4), np.eye(4)
    nearly[0, 3], moved[0, 3] = 0.01, 0.1
    stretched[0, 0] = 1.001  # a tenth of a mm at the far corner
    assert space.same_grid(Space((100, 100, 100), nearly))
    assert not space.same_grid(Space((100, 100, 100), stretched))
    assert not space.same_grid(Space((100, 100, 100), moved))
    assert not space.same_grid(Space((100, 100, 99), np.eye(4)))


def test_an_array_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="shape"):
        Volume(np.zeros((7, 8, 9), np.float32), Space((7, 9, 8), np.eye(4)))


def test_nouns_that_hold_arrays_are_equal_only_to_themselves_and_can_be_keys():
    """Comparing arrays would raise: which voxel decides?"""
    grid = StoredGrid((7, 8, 9), np.eye(4), np.eye(3))
    space, same = (Space((7, 8, 9), np.eye(4), stored=grid) for _ in range(2))
    array = np.zeros((7, 8, 9), np.float32)
    volume, mask = Volume(array, space), Mask(array > 0, space)
    scan = Scan.of("s", volume, mask)
    pairs = [
        (grid, StoredGrid((7, 8, 9), np.eye(4), np.eye(3))),
        (space, same),
        (volume, Volume(array, space)),
        (mask, Mask(array > 0, space)),
        (scan, Scan.of("s", volume, mask)),
    ]
    for noun, twin in pairs:
        assert noun == noun and (noun == twin) is False and noun != twin
        assert {noun: 1}[noun] == 1 and len({noun, twin}) == 2
    assert space.same_grid(same)


def test_a_lesion_is_a_row_and_equal_to_a_row_of_the_same_values():
    assert Lesion(0.5, 4, (1.0, 2.0, 3.0), "left") == Lesion(0.5, 4, (1.0, 2.0, 3.0), "left")
