"""Resolution, noise and brain masks, as they are drawn."""

from dataclasses import replace

import numpy as np
import pytest

from flairline.synthesis import scanner
from flairline.synthesis.scanner import Noise, draw_brain_mask, draw_scanner

AXES = tuple(np.arange(side, dtype=float) for side in (40, 41, 42))


def drawn(count: int) -> list[scanner.Scanner]:
    return [draw_scanner(np.random.default_rng(seed), np.random.default_rng(0), AXES) for seed in range(count)]


def test_some_scans_are_blurred_along_every_axis(monkeypatch):
    narrowest = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(scanner, "BLURRED_SHARE", share)
        narrowest.append([min(one.blur_mm) for one in drawn(60)])
    assert max(narrowest[0]) <= 0.7
    assert min(narrowest[1]) >= 0.7
    monkeypatch.undo()
    assert 0.07 < np.mean([min(one.blur_mm) > 0.7 for one in drawn(400)]) < 0.19


def test_most_scans_have_thick_slices_along_z_mostly():
    slices = [one.slices for one in drawn(400)]
    thick = [one for one in slices if one is not None]
    assert 0.5 < len(thick) / len(slices) < 0.68
    assert 0.6 < np.mean([one.axis == 2 for one in thick]) < 0.8
    assert all(8 <= one.count <= 42 / 1.5 / 0.9 + 1 for one in thick)
    assert 0.08 < np.mean([one.nearest for one in thick]) < 0.24


def test_noise_has_its_size_and_depends_on_its_seed_alone():
    noise = Noise(0.05, 7).draw((30, 31, 32))
    assert noise.std() == pytest.approx(0.05, rel=0.02)
    np.testing.assert_array_equal(noise, Noise(0.05, 7).draw((30, 31, 32)))
    assert not np.array_equal(noise, replace(Noise(0.05, 7), seed=8).draw((30, 31, 32)))


def test_a_fifth_of_the_brain_masks_end_inside_the_head():
    masks = [draw_brain_mask(np.random.default_rng(seed), np.random.default_rng(0), AXES) for seed in range(400)]
    cuts = [mask.cut for mask in masks if mask.cut is not None]
    assert 0.13 < len(cuts) / len(masks) < 0.27
    lost = [cut.voxel / len(AXES[cut.axis]) if cut.before else 1 - cut.voxel / len(AXES[cut.axis]) for cut in cuts]
    assert 0.03 < min(lost) < max(lost) < 0.32
    assert 0.17 < np.mean([mask.residue is not None for mask in masks]) < 0.33
