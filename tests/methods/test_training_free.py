"""Robust z-score, multimodal and asymmetry, on phantoms."""

import dataclasses

import numpy as np
import pytest

from flairline import registry
from flairline.imaging.tissue import levelled
from flairline.synthesis.phantom import Lesion, phantom
from flairline.types import Mask, Scan, Volume

NAMES = ("zscore", "local_zscore", "multimodal", "asymmetry")


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


def in_stripes(scan: Scan, share: float) -> Scan:
    """The scan under a coil's field: one wave over the head, from 1 - share to 1 + share."""
    along = np.linspace(0, 2 * np.pi, scan.space.shape[1])[None, :, None]
    return scan.with_images(
        flair=Volume((scan.flair.array * (1 + share * np.cos(along))).astype(np.float32), scan.space)
    )


def marked(name: str, scan: Scan) -> float:
    """Of how many voxels the score is at least 1.5."""
    return float((score(name, scan) >= 1.5).sum())


def test_a_field_and_noise_move_local_zscore_less(patient):
    """A field of 10 % and noise of 3 % of the tissue change what is marked by less than 10 %, with zscore by half."""
    scan, _ = patient
    level = float(np.median(scan.flair.array[scan.brain.array]))
    noise = np.random.default_rng(1).normal(0, 0.03 * level, scan.space.shape).astype(np.float32)
    noisy = scan.with_images(flair=Volume(scan.flair.array + noise, scan.space))
    moved = {
        name: [abs(marked(name, changed) / marked(name, scan) - 1) for changed in (in_stripes(scan, 0.1), noisy)]
        for name in ("zscore", "local_zscore")
    }
    assert max(moved["local_zscore"]) < 0.1
    assert moved["zscore"][0] > 0.5


def test_a_known_field_is_levelled_and_a_lesion_stays():
    """Of tissue of one brightness under a known field, less than a fifth of the field is left; a lesion of 40 mm
    keeps nine tenths of its height."""
    shape, brain = (60, 70, 50), np.zeros((60, 70, 50), bool)
    brain[4:-4, 4:-4, 4:-4] = True
    tissue = np.random.default_rng(2).normal(100, 4, shape)
    field = 12 * np.cos(np.linspace(0, np.pi, 70))[None, :, None] + np.zeros(shape)
    lesion = np.zeros(shape, bool)
    lesion[20:40, 25:45, 15:35] = True
    image = (tissue + field + 60 * lesion).astype(np.float32)
    found = levelled(image, brain, (2.0, 2.0, 2.0), 40.0)
    inner = np.zeros(shape, bool)
    inner[8:-8, 8:-8, 8:-8] = True
    left = (found - tissue)[inner & ~lesion]
    assert np.std(left) < 0.2 * np.std(field[inner & ~lesion])
    assert found[lesion].mean() - np.median(found[inner & ~lesion]) > 0.9 * 60


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
