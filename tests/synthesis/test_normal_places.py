"""Where normal tissue of synthetic scans is bright, over the brain's box."""

from pathlib import Path

import numpy as np

from flairline.synthesis import normal_places
from flairline.synthesis.training import Z_RANGE


def test_bright_normal_tissue_is_told_and_lesions_and_what_is_outside_are_not(monkeypatch):
    """Two scans of other sides: bright on the left; a lesion on top and nothing at the bottom count for nothing."""

    def read(stem: Path):
        shape = (60, 66, 64) if stem.name == "a" else (48, 70, 52)
        image, truth = np.zeros(shape, np.float32), np.zeros(shape, bool)
        image[: shape[0] // 4] = 3.0
        image[..., -shape[2] // 4 :] = 8.0
        truth[..., -shape[2] // 4 :] = True
        image[..., : shape[2] // 6] = Z_RANGE[0]
        return image, truth

    monkeypatch.setattr(normal_places, "read_scan", read)
    excess = normal_places.excess_brightness([Path("a"), Path("b")])
    assert excess.shape == normal_places.SHAPE
    np.testing.assert_allclose(excess, excess[::-1], atol=1e-5)
    assert excess[3, 26, 20] > 2.5  # a mean of 1.5 on either side, and as much spread
    assert excess[22, 26, 20] < 0.1
    assert excess.max() < 3.5
