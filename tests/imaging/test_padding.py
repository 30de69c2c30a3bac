import numpy as np
import pytest

from flairline.imaging.padding import without_padding
from flairline.types import Space, Volume

SPACING = (2.0, 3.0, 4.0)


def padded(shape, at=(40, 30, 20), block=(30, 40, 35)) -> tuple[Volume, np.ndarray]:
    array = np.zeros(shape, np.float32)
    box = tuple(slice(start, start + side) for start, side in zip(at, block, strict=True))
    array[box] = np.random.default_rng(0).uniform(1, 9, block)
    vox_to_ras = np.diag([*SPACING, 1.0])
    vox_to_ras[:3, 3] = -50, 20, 7
    return Volume(array, Space(shape, vox_to_ras)), array > 0


def test_a_head_in_a_far_larger_grid_is_cut_out_and_its_mask_put_back():
    volume, head = padded((190, 130, 110))
    inside = without_padding(volume, 0.0)
    assert inside.volume.array.shape == (30 + 2 * 5, 40 + 2 * 4, 35 + 2 * 3)  # 10 mm on each side
    np.testing.assert_array_equal(inside.put_back(inside.volume.array > 0), head)
    first = (volume.space.vox_to_ras @ [35, 26, 17, 1])[:3]
    np.testing.assert_allclose(inside.volume.space.vox_to_ras[:3, 3], first)


@pytest.mark.parametrize(("shape", "background"), [((80, 80, 60), 0.0), ((190, 130, 110), np.nan)])
def test_other_scans_stay_whole(shape, background):
    volume, _ = padded(shape)
    assert without_padding(volume, background).volume is volume


def test_an_empty_scan_stays_whole():
    volume, _ = padded((190, 130, 110), block=(0, 0, 0))
    assert without_padding(volume, 0.0).volume is volume
