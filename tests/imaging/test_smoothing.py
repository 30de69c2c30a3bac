import numpy as np

from flairline.imaging.smoothing import smooth_inside


def test_smoothing_keeps_a_constant_up_to_the_rim():
    inside = np.zeros((9, 10, 11), bool)
    inside[2:7, 2:8, 2:9] = True
    found = smooth_inside(np.where(inside, np.float32(3), np.float32(50)), inside, (1.5, 1.2, 0.8))
    np.testing.assert_allclose(found[inside], 3.0, rtol=1e-5)


def test_it_is_the_weighted_mean_of_what_lies_inside():
    """By hand, along one axis: of the two neighbours one lies outside."""
    values, inside = np.zeros((9, 1, 1), np.float32), np.ones((9, 1, 1), bool)
    values[3], values[4], values[5], inside[5] = 1.0, 4.0, 100.0, False
    weight = np.exp(-0.5 * (np.arange(9) - 4.0) ** 2) * (np.abs(np.arange(9) - 4) <= 3) * inside[:, 0, 0]
    wanted = (weight * values[:, 0, 0]).sum() / weight.sum()
    assert np.isclose(smooth_inside(values, inside, (1.0, 0.0, 0.0))[4, 0, 0], wanted, rtol=1e-5)


def test_far_from_what_lies_inside_it_is_nothing():
    inside = np.zeros((40, 1, 1), bool)
    inside[:5] = True
    found = smooth_inside(np.ones((40, 1, 1), np.float32), inside, (2.0, 0.0, 0.0), least=0.5)
    assert found[2] == 1 and 0 < found[6] < 0.9 and found[20] == 0
