"""A scan may raise a model's threshold; a mass keeps it, and between the two there is no cliff."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flairline.learning.calibration import best_expected_dice
from flairline.postprocess.calibrated import MASS_MM, RAISED, ModelThreshold
from flairline.types import Mask, Space, Threshold, Volume

FIXED = 0.25
SPACING_MM = (1.0, 1.5, 2.0)
SHAPE = (60, 44, 40)


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModelThreshold:
    calibration = {"threshold": FIXED, "scans": 64, "raises": True}
    monkeypatch.setattr(ModelThreshold, "calibration", lambda self: calibration)
    return ModelThreshold(tmp_path, "synthetic_unet")


def _chosen(rule: ModelThreshold, radii_mm: list[float]) -> tuple[Threshold, float]:
    """The threshold of balls of sure lesion, apart along x, and half of the scan's largest expected Dice."""
    space = Space(SHAPE, np.diag([*SPACING_MM, 1.0]))
    x, y, z = (axis * side for axis, side in zip(np.indices(SHAPE), SPACING_MM, strict=True))
    score = np.full(SHAPE, 1e-4, np.float32)
    for number, radius in enumerate(radii_mm):
        off = (x - 16 - 28 * number) ** 2 + (y - 33) ** 2 + (z - 40) ** 2
        score[off < (radius + 1) ** 2] = 0.3
        score[off < radius**2] = 0.95
    brain = np.ones(SHAPE, bool)
    half = best_expected_dice(score[brain]) / 2
    return rule.choose(Volume(score, space), Mask(brain, space)), half


def test_scattered_lesions_raise_the_threshold_to_half_of_the_expected_dice(rule: ModelThreshold) -> None:
    found, half = _chosen(rule, [4.0, 5.0])
    assert half > FIXED + 0.05
    assert found.value == pytest.approx(half) and found.rule == RAISED


def test_a_mass_keeps_the_threshold_of_the_model(rule: ModelThreshold) -> None:
    found, half = _chosen(rule, [14.0])
    assert half > FIXED + 0.05
    assert found.value == FIXED and found.rule != RAISED
    assert _chosen(rule, [14.0, 4.0])[0].value == FIXED, "whatever lies beside it"


def test_between_lesion_and_mass_there_is_no_cliff(rule: ModelThreshold) -> None:
    depths = np.arange(MASS_MM[0] - 3, MASS_MM[1] + 1, 0.5)
    shares = [(half - found.value) / (half - FIXED) for found, half in (_chosen(rule, [depth]) for depth in depths)]
    assert shares[0] == pytest.approx(0) and shares[-1] == pytest.approx(1)
    assert (np.diff(shares) >= -1e-6).all() and np.diff(shares).max() < 0.4
