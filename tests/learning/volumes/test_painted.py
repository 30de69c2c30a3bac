"""Lesions that are painted into real scans: brighter by what was drawn, fluid left dark, the truth at half height."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from flairline.learning.volumes.painted import FLUID, LARGEST_VOXELS, painted

SHAPE = (40, 44, 36)


def _crop(unsaid: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).normal(0, 0.3, SHAPE).astype(np.float32)
    image[:, :10] = -4.0  # fluid
    truth = np.zeros(SHAPE, np.float32)
    truth[30:] = -1 if unsaid else 0
    return image, truth, np.ones(SHAPE, np.float32)


def _ball(middle: tuple[int, int, int], radius: float) -> np.ndarray:
    return sum((np.indices(SHAPE)[axis] - middle[axis]) ** 2 for axis in range(3)) < radius**2


def test_a_painted_lesion_is_brighter_and_truth_to_half_of_its_height() -> None:
    shape = _ball((15, 25, 18), 5)
    image, truth, t1 = _crop()
    after, said, darker = painted((image, truth, t1), shape, np.random.default_rng(1))
    lesion = said == 1
    added = after - image
    assert 2 * (lesion & shape).sum() / (lesion.sum() + shape.sum()) > 0.85
    assert added[lesion].min() >= 0.4 * added.max()
    assert added[lesion].mean() > 1
    assert (darker[lesion] < 1).all()
    far = ~_ball((15, 25, 18), 12)
    np.testing.assert_array_equal(after[far], image[far])
    np.testing.assert_array_equal(said[far], truth[far])


def test_nothing_is_painted_into_fluid_and_no_t1_comes_out_of_none() -> None:
    image, truth, _ = _crop()
    none = np.zeros(SHAPE, np.float32)
    after, said, t1 = painted((image, truth, none), _ball((15, 9, 18), 6), np.random.default_rng(2))
    fluid = image <= FLUID
    np.testing.assert_array_equal(after[fluid], image[fluid])
    assert not (said[fluid] == 1).any()
    assert (said == 1).any()
    np.testing.assert_array_equal(t1, none)


def test_large_lesions_are_not_painted() -> None:
    crop = _crop()
    large = _ball((20, 25, 18), 15)
    assert large.sum() > LARGEST_VOXELS
    for before, after in zip(crop, painted(crop, large, np.random.default_rng(3)), strict=True):
        np.testing.assert_array_equal(after, before)
