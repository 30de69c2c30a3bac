"""Synthetic scans that look like real ones are picked by noise, slices and contrast, not by what lies where."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from flairline.learning.volumes.alike import LOOKS, look_of, most_alike


def _scan(seed: int, noise: float = 0.2, slices: int = 1, contrast: float = 1.0) -> np.ndarray:
    """A ball of tissue with a smooth pattern, in half-widths; `slices` voxels of z are alike."""
    rng = np.random.default_rng(seed)
    x, y, z = np.indices((44, 48, 40))
    ball = (x - 22) ** 2 + (y - 24) ** 2 + (z - 20) ** 2 < 18**2
    pattern = ndimage.gaussian_filter(rng.standard_normal(ball.shape), 3)
    image = contrast * pattern / pattern.std() + noise * rng.standard_normal(ball.shape)
    image = np.repeat(image[:, :, ::slices], slices, axis=2)[:, :, : ball.shape[2]]
    return np.where(ball, image, -5.0).astype(np.float32)


def test_a_look_tells_noise_slices_and_contrast_apart() -> None:
    plain, noisy, thick, flat = (
        dict(zip(LOOKS, look_of(_scan(0, **given)), strict=True))
        for given in ({}, {"noise": 0.6}, {"slices": 4}, {"contrast": 0.4})
    )
    assert noisy["noise"] > 1.5 * plain["noise"]
    assert thick["steps along z"] < 0.8 * plain["steps along z"]
    assert thick["steps along x"] == pytest.approx(plain["steps along x"], rel=0.1)
    assert flat["90th percentile"] < 0.6 * plain["90th percentile"]


def test_a_look_does_not_tell_left_from_right() -> None:
    scan = _scan(1)
    assert look_of(scan[::-1]) == pytest.approx(look_of(scan), rel=1e-5)


def test_a_scan_without_tissue_has_no_look() -> None:
    assert np.isnan(look_of(np.full((9, 9, 9), -5.0, np.float32))).all()


def test_real_scans_pick_those_that_look_like_them() -> None:
    kinds = [{"noise": 0.6}, {"slices": 4}, {}, {"contrast": 0.4}]
    candidates = [look_of(_scan(seed, **kinds[seed % 4])) for seed in range(16)]
    real = [look_of(_scan(50, slices=4)), look_of(_scan(51, contrast=0.4))]
    assert [number % 4 for number in most_alike(candidates, real, 6)].count(1) == 3
    assert [number % 4 for number in most_alike(candidates, real, 6)].count(3) == 3
    assert most_alike(candidates, real, 99) == list(range(16))


def test_without_real_scans_the_first_ones_are_taken() -> None:
    assert most_alike([look_of(_scan(seed)) for seed in range(4)], [], 3) == [0, 1, 2]
