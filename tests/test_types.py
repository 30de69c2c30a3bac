import numpy as np
import pytest

from flairline.types import Mask, Space, Volume


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
