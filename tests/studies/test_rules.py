"""The study of a mask's rules: what each does to a head that was drawn for it, and the line that says so."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from flairline.imaging.components import ComponentRule
from flairline.postprocess.masses import BesideMass, ClosedMass
from flairline.postprocess.recipe import Recipe
from flairline.postprocess.threshold import GivenValue

SHAPE = (41, 42, 43)


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    module = importlib.import_module("studies.rules")
    monkeypatch.setattr(module, "LISTED", (BesideMass(6.0, 0.1), ClosedMass(6.0, 3.0)))
    return module


def test_a_false_spot_goes_and_a_hole_is_closed(study):
    truth, brain = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    truth[5:20, 5:20, 5:20] = True  # 3375 voxels, 8 mm deep
    score = truth.astype(np.float32)
    score[7, 7, 7] = 0
    score[30:32, 30:32, 30:32] = 1
    recipe = Recipe("r", "intensity", ComponentRule(1), GivenValue(0.5))
    found = study.tried(score, truth, brain, recipe)
    beside, closed = (found[rule] for rule in study.LISTED)
    assert beside.dice == pytest.approx((2 * 3374 / (3382 + 3375), 2 * 3374 / (3374 + 3375)))
    assert beside.false_ml == pytest.approx((0.008, 0))
    assert closed.dice[1] == pytest.approx(2 * 3375 / (3383 + 3375)) and closed.false_ml[1] == pytest.approx(0.008)
    free = study.tried(score, np.zeros(SHAPE, bool), brain, recipe)
    lines = study.table([found, free]).splitlines()
    assert len(lines) == 4
    name, *cells = lines[2].strip("| ").split(" | ")
    assert name == repr(study.LISTED[0])
    assert cells == ["0.9999", "+0.0012", "nan", "1", "0", "0.00", "3.37"]
