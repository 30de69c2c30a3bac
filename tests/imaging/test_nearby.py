import numpy as np
import pytest
from scipy import ndimage

from flairline.imaging.nearby import within_mm


@pytest.mark.parametrize("reach_mm", [0.4, 1.0, 3.0, 9.0])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.6, 0.9, 3.0), (2.0, 0.7, 0.5)])
@pytest.mark.parametrize("shape", [(31, 24, 17), (6, 5, 2)])
def test_it_is_what_a_distance_map_says(reach_mm, spacing_mm, shape):
    mask = np.random.default_rng(1).random(shape) > 0.99
    mask[2, 3, 1] = mask[0, 0, 0] = True
    wanted = ndimage.distance_transform_edt(~mask, sampling=spacing_mm) <= reach_mm
    np.testing.assert_array_equal(within_mm(mask, spacing_mm, reach_mm), wanted)


@pytest.mark.parametrize("reach_mm", [3.0, 30.0])
def test_nothing_is_near_to_an_empty_mask(reach_mm):
    assert not within_mm(np.zeros((8, 9, 5), bool), (1.0, 1.5, 2.0), reach_mm).any()
