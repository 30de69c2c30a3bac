"""Robust z-score, multimodal and asymmetry, on phantoms."""

import dataclasses

import numpy as np
import pytest

from flairline import registry
from flairline.synthesis.phantom import Lesion, phantom
from flairline.types import Mask, Scan, Volume

NAMES = ("zscore", "multimodal", "asymmetry")


@pytest.fixture(scope="module")
def patient() -> tuple[Scan, np.ndarray]:
    """A phantom at 4 mm with a tumour on one side, and where it is."""
    scan, truth, _ = phantom(5, 4.0, [Lesion("tumour", (32.0, -20.0, 22.0), 20.0)])
    return scan, truth.array


def score(name: str, scan: Scan) -> np.ndarray:
    return registry.load("methods", name)().fit(())(scan).array


def rescaled(scan: Scan, scale: float, shift: float) -> Scan:
    return scan.with_images(flair=Volume(scan.flair.array * np.float32(scale) + np.float32(shift), scan.space))


@pytest.mark.parametrize("name", NAMES)
def test_lesion_scores_higher_than_the_rest(name, patient):
    scan, truth = patient
    found = score(name, scan)
    rest = scan.brain.array & ~truth
    assert np.median(found[truth]) > np.quantile(found[rest], 0.9)
    assert not found[~scan.brain.array].any()
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", NAMES)
def test_units_of_the_scan_do_not_matter(name, patient):
    scan, _ = patient
    np.testing.assert_allclose(score(name, rescaled(scan, 0.01, -3.0)), score(name, scan), atol=0.1)


def test_zscore_marks_less_of_a_healthy_brain(patient):
    healthy, _, _ = phantom(6, 4.0, [])
    scan, _ = patient
    assert (score("zscore", healthy) > 3).sum() < 0.2 * (score("zscore", scan) > 3).sum()


def test_multimodal_takes_off_what_is_bright_in_t1(patient):
    scan, truth = patient
    assert scan.t1 is not None
    bright = np.where(truth, scan.t1.array.max(), scan.t1.array)
    fat = scan.with_images(t1=Volume(bright, scan.space))
    assert score("multimodal", fat)[truth].mean() < 0.85 * score("multimodal", scan)[truth].mean()


def test_asymmetry_of_a_mirror_image_is_nothing():
    rng = np.random.default_rng(8)
    half = rng.normal(100, 10, (12, 26, 22)).astype(np.float32)
    array = np.concatenate([half, half[::-1]])
    scan, _, _ = phantom(6, 4.0, [])
    space = dataclasses.replace(scan.space, shape=array.shape, stored=None)
    both = Scan.of("mirror", Volume(array, space), Mask(np.ones(array.shape, bool), space))
    assert score("asymmetry", both).max() < 0.3


def test_asymmetry_ignores_what_is_bright_on_both_sides(patient):
    scan, truth = patient
    one = score("asymmetry", scan)
    mirrored = np.maximum(scan.flair.array, scan.flair.array[::-1])
    two = score("asymmetry", scan.with_images(flair=Volume(mirrored, scan.space)))
    assert two[truth].mean() < 0.6 * one[truth].mean()
