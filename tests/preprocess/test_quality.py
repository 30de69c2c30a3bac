from __future__ import annotations

import numpy as np
import pytest

from flairline.imaging.points import PointMap, identity
from flairline.preprocess import quality
from flairline.types import Mask, Space, Volume

SHAPE = (14, 16, 18)


def space(spacing_mm=(2.0, 3.0, 4.0)) -> Space:
    return Space(SHAPE, np.diag([*spacing_mm, 1.0]))


def box(low=2, high=12) -> Mask:
    array = np.zeros(SHAPE, bool)
    array[low:high, low:high, low:high] = True
    return Mask(array, space())


def test_mutual_information_of_an_image_with_itself_is_two_and_with_noise_is_one():
    random = np.random.default_rng(0)
    image = random.random((40, 40, 40))
    everywhere = np.ones(image.shape, bool)
    assert quality.mutual_information(image, image, everywhere) == pytest.approx(2.0)
    assert quality.mutual_information(image, 3 - 2 * image, everywhere) == pytest.approx(2.0, abs=0.1)
    assert quality.mutual_information(image, random.random(image.shape), everywhere) < 1.01
    assert np.isnan(quality.mutual_information(image, image * 0, everywhere))
    assert np.isnan(quality.mutual_information(image, image, everywhere & False))


def test_noise_is_found_beneath_edges_and_slopes():
    random = np.random.default_rng(1)
    grid = Space((60, 70, 20), np.diag([1.0, 1.0, 3.0, 1.0]))
    brain = Mask(np.ones(grid.shape, bool), grid)
    x, y, _ = np.indices(grid.shape)
    clean = 100 + 0.5 * x + np.where(y > 35, 40, 0)
    noisy = Volume((clean + random.normal(0, 5, grid.shape)).astype(np.float32), grid)
    assert quality.noise(noisy, brain) == pytest.approx(5 / np.median(noisy.array), rel=0.1)
    assert quality.noise(Volume(clean.astype(np.float32), grid), brain) < 0.005


def test_a_brain_cut_at_the_top_is_seen():
    whole, cut = box(), box()
    cut.array[:, :, :5] = False
    cut.array[2:12, 2:12, 12:] = True
    assert quality.edge_share(whole) == 0.0
    assert quality.edge_share(cut) == 1.0


def test_coverage_is_the_share_of_the_atlas_brain_in_the_field_of_view():
    brain = box()
    whole = identity("atlas", "flair")
    assert quality.coverage(brain, whole, space()) == 1.0
    moved = np.eye(4)
    moved[2, 3] = 11 * 4.0  # up by eleven slices: of the brain's 2..11 five stay below the last slice, 17
    shifted = PointMap("atlas", "flair", moved)
    assert quality.coverage(brain, shifted, space()) == pytest.approx(5 / 10, abs=0.02)


def test_stretch_of_a_turned_and_scaled_map():
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([0.5, 1.0, 1.25])
    assert quality.stretch(PointMap("a", "b", matrix)) == pytest.approx(2.5)
    assert quality.stretch(identity("a", "b")) == pytest.approx(1.0)


def test_flags_name_the_figure_the_value_and_the_limit():
    (flag,) = quality.flags({"brain_ml": 400.0, "noise": float("nan"), "unknown": -1.0, "coverage": 1.0})
    assert (flag.figure, flag.value) == ("brain_ml", 400.0)
    assert "400 < 900" in flag.reason and "smaller than an adult's" in flag.reason
    (flag,) = quality.flags({"slice_thickness_mm": 6.5})
    assert "6.5 > 5" in flag.reason


@pytest.mark.parametrize("figure", list(quality.LIMITS))
def test_every_limit_has_its_words(figure):
    limit = quality.LIMITS[figure]
    assert limit.low <= limit.high
    assert limit.below or limit.above
