import numpy as np
import pytest

from flairline.imaging.tissue import normal_tissue


@pytest.fixture
def tissue() -> np.ndarray:
    """A brain's values: normal tissue around 100 with sd 10, a tenth of it CSF around 25."""
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(100, 10, 45000), rng.normal(25, 8, 5000)])


def test_mode_and_width_are_those_of_the_normal_curve(tissue):
    found = normal_tissue(tissue)
    assert found.mode == pytest.approx(100, abs=2)
    assert found.width == pytest.approx(10, rel=0.15)


@pytest.mark.parametrize(("scale", "shift"), [(0.01, 0.0), (3.7, -250.0), (0.05, -1.0)])
def test_scale_and_shift_of_the_scan_do_not_matter(tissue, scale, shift):
    np.testing.assert_allclose(
        normal_tissue(tissue * scale + shift).z(tissue * scale + shift), normal_tissue(tissue).z(tissue), atol=0.05
    )


def test_a_lesion_of_a_quarter_of_the_brain_moves_nothing(tissue):
    lesion = np.random.default_rng(4).normal(190, 15, len(tissue) // 3)
    found, before = normal_tissue(np.concatenate([tissue, lesion])), normal_tissue(tissue)
    assert found.mode == pytest.approx(before.mode, abs=2)
    assert found.width == pytest.approx(before.width, rel=0.25)


def test_fluid_that_was_cut_off_to_one_value_is_not_the_tissue(tissue):
    """Found on a synthetic scan: 1.3 litres were marked, because a quarter of the brain lay at the lowest value."""
    fluid = np.full(len(tissue) // 2, 80.0)
    cut_off = np.maximum(np.concatenate([tissue, fluid]), 80.0)
    found = normal_tissue(cut_off)
    assert found.mode == pytest.approx(100, abs=2)
    assert found.width == pytest.approx(10, rel=0.25)


def test_few_distinct_values_still_give_a_width():
    found = normal_tissue(np.array([1.0] * 50 + [2.0] * 2))
    assert np.isfinite(found.mode)
    assert found.width > 0
