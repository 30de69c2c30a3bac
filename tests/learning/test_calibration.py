"""What a component's probability is told from: features by hand, and which of them are taken."""

from __future__ import annotations

import numpy as np
import pytest
from tests.conftest import ORIENTATIONS

from flairline.io.nifti import read_mask, read_volume
from flairline.learning.calibration import (
    PEAKED,
    PLACED,
    SIMPLE,
    Judged,
    calibrate,
    component_features,
    lesion_model,
    probability,
)
from flairline.postprocess.confidence import lesion_probabilities

SHAPE = (22, 33, 44)
BRAIN = np.zeros(SHAPE, bool)
BRAIN[1:-1, 1:-1, 1:-1] = True
LABELS = np.zeros(SHAPE, np.int32)
LABELS[10:12, 1:4, 40:43] = 1  # at the midline, at the back, at the top
LABELS[1:2, 16:17, 11:12] = 2  # at the left end, in the middle, a quarter up
LOGITS = np.where(LABELS == 1, 2.0, np.where(LABELS == 2, -1.0, -5.0))
LOGITS[10, 1, 40] = 4.0


def test_features_by_hand():
    found = component_features(LABELS, LOGITS, 0.002, BRAIN, PLACED)
    mean = (17 * 2 + 4) / 18
    top = (41 - 1) / 41
    quarter = (11 - 1) / 41
    expected = [
        [mean, np.log10(0.036), 4, 0, 1 / 30, top, top**2],
        [-1, np.log10(0.002), -1, 1, 0.5, quarter, quarter**2],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for names in (SIMPLE, PEAKED):
        fewer = component_features(LABELS, LOGITS, 0.002, BRAIN, names)
        np.testing.assert_array_equal(fewer, found[:, : len(names)])
    assert component_features(np.zeros(SHAPE, int), LOGITS, 1.0, BRAIN, PLACED).shape == (0, 7)


def test_left_and_right_are_rated_alike():
    found = component_features(LABELS, LOGITS, 0.002, BRAIN, PLACED)
    flipped = component_features(LABELS[::-1], LOGITS[::-1], 0.002, BRAIN, PLACED)
    np.testing.assert_allclose(flipped, found, atol=1e-6)


@pytest.mark.parametrize("which", [SIMPLE, PEAKED, PLACED])
def test_the_features_that_tell_are_taken(which):
    """What decides is the last feature of each set; the others are noise."""
    rng = np.random.default_rng(2)
    features, of_scan = rng.normal(size=(600, len(PLACED))), np.repeat(np.arange(30), 20)
    if which == PLACED:
        features[:, 6] = features[:, 5] ** 2
    deciding = features[:, 5] if which == PLACED else features[:, len(which) - 1]
    hits = (rng.random(600) < probability(deciding, [0.0, 2.0])).astype(float)
    names, weights = lesion_model(features, hits, of_scan)
    assert names == which and len(weights) == len(which) + 1
    assert weights[len(which) - 1 if which == PLACED else len(which)] > 1


def test_too_few_components_teach_nothing():
    names, weights = lesion_model(np.zeros((5, 7)), np.ones(5), np.arange(5))
    assert names == SIMPLE and weights.tolist() == [0, 1, 0]


def test_a_calibration_says_what_its_weights_are_for_and_the_rater_asks_for_the_same():
    """Lesions low in the head, and false finds that are as large and as sure high up in it."""
    rng = np.random.default_rng(4)
    scans = []
    for _ in range(20):
        truth, logits = np.zeros(SHAPE, bool), np.where(BRAIN, -6.0, -9.0) + rng.normal(size=SHAPE)
        for z, is_lesion in ((8, True), (14, True), (30, False), (36, False)):
            x, y = rng.integers(3, 17), rng.integers(3, 28)
            block = np.s_[x : x + 3, y : y + 3, z : z + 3]
            logits[block] += 9
            truth[block] = is_lesion
        scans.append(Judged(logits.astype(np.float32), truth, BRAIN))
    found = calibrate(scans, np.random.default_rng(0))
    assert tuple(found["lesion_features"]) == PLACED and len(found["lesion_weights"]) == 1 + len(PLACED)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_scan_of_every_orientation_is_rated_by_place(orientation, save, tmp_path):
    score = np.where(BRAIN, 1 / (1 + np.exp(-LOGITS)), 0).astype(np.float32)
    paths = [
        save(tmp_path / f"{n}.nii.gz", a, orientation) for n, a in (("s", score), ("l", (LABELS == 1).astype(np.uint8)))
    ]
    high = {"lesion_features": list(PLACED), "lesion_weights": [-5.0, 0, 0, 0, 0, 0, 10.0, 0]}
    labels = read_mask(paths[1]).array.astype(np.int32)
    (chance,) = lesion_probabilities(read_volume(paths[0]), labels, high)
    assert chance == pytest.approx(1 / (1 + np.exp(5 - 10 * 40 / 41)), abs=1e-6)
