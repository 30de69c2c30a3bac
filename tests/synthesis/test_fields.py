"""Fields are smooth, of unit variance where they say so, and the same wherever they are looked at."""

import numpy as np
import pytest

from flairline.synthesis.evaluate import anatomy_mm, field_values
from flairline.synthesis.fields import Deformation, rotation, rough, scaled, smooth, splines
from flairline.synthesis.render_numpy import NumpyArrays

AXES = tuple(np.arange(side) - (side - 1) / 2 for side in (31, 42, 27))
NUMPY = NumpyArrays()


@pytest.mark.parametrize("length_mm", [3.0, 8.0, 25.0, 90.0])
def test_a_smooth_field_has_unit_variance_and_changes_over_its_length(length_mm):
    field = field_values(NUMPY, smooth(np.random.default_rng(3), AXES, length_mm), AXES)
    assert field.shape == (31, 42, 27)
    assert field.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(field, axis=1)).mean() < 10 / length_mm


def test_a_box_of_a_field_is_the_same_field():
    field = rough(np.random.default_rng(0), AXES, 12)
    whole = field_values(NUMPY, field, AXES)
    box = (slice(3, 20), slice(0, 11), slice(13, 27))
    part = field_values(NUMPY, field, tuple(axis[where] for axis, where in zip(AXES, box, strict=True)))
    np.testing.assert_allclose(part, whole[box], atol=1e-5)
    np.testing.assert_allclose(field_values(NUMPY, scaled(field, 0.1), AXES), 0.1 * whole, atol=1e-6)


def test_splines_add_up_to_their_level_between_the_knots():
    lattice = splines(np.random.default_rng(0), (-20, -25, -15), (40, 50, 30), 9.0, 0.0)
    level = field_values(NUMPY, (lattice.scaled(0), lattice), AXES)
    assert not level.any()
    for axis in range(3):
        inner = AXES[axis][np.abs(AXES[axis]) < 14]
        np.testing.assert_allclose(lattice.basis(inner, axis).sum(axis=1), 1, atol=1e-6)


def test_turns_go_about_x_then_y_then_z():
    quarter = np.pi / 2
    np.testing.assert_allclose(rotation(np.array([quarter, 0, quarter])) @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(rotation(np.array([0, 0, quarter])) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_a_deformation_is_affine_plus_its_displacement():
    rng = np.random.default_rng(1)
    matrix, field = rotation(np.array([0.1, -0.2, 0.3])), smooth(rng, AXES, 20)
    deformation = Deformation(matrix, np.array([1.0, 2, 3]), np.array([5.0, 6, 7]), (field, scaled(field, 0), field))
    moved = np.stack([anatomy_mm(NUMPY, deformation, AXES, axis) for axis in range(3)], axis=-1)
    index = (4, 30, 20)
    place = np.array([axis[i] for axis, i in zip(AXES, index, strict=True)])
    extra = field_values(NUMPY, field, AXES)[index]
    np.testing.assert_allclose(moved[index], matrix @ (place - [1, 2, 3]) + [5, 6, 7] + [extra, 0, extra], atol=1e-4)
