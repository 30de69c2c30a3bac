"""The cheap methods that every other one has to beat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flairline import registry
from flairline.benchmarking import controls


def test_controls_are_the_methods_that_say_so():
    assert controls.names() == ("intensity", "highpass")  # the columns of the tables, cheapest first


def test_controls_score_as_said(scan):
    highpass = registry.load("methods", "highpass")().fit(())(scan).array
    assert highpass[~scan.brain.array].max() == highpass[~scan.brain.array].min() == 0
    block = highpass[4:8, 7:11, 8:11]
    assert block.mean() > 5 * abs(highpass[scan.brain.array].mean())
    shifted = scan.with_images(flair=replace(scan.flair, array=scan.flair.array + np.float32(1000)))
    np.testing.assert_allclose(registry.load("methods", "highpass")().fit(())(shifted).array, highpass, atol=2e-2)
