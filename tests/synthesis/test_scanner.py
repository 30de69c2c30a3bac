"""Resolution, noise and brain masks, as they are drawn."""

from dataclasses import replace

import numpy as np
import pytest

from flairline.synthesis import scanner
from flairline.synthesis.render_numpy import render
from flairline.synthesis.scanner import Noise, draw_brain_mask, draw_scanner, misplaced
from flairline.synthesis.training import draw

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
    assert 0.2 < np.mean([one.nearest for one in thick]) < 0.4
    assert min(one.count for one in thick) == 8  # of 42 mm, so the floor of the number, not the thickest slice


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
    assert 0.26 < np.mean([mask.residue is not None for mask in masks]) < 0.45


def test_slices_of_eight_millimetres_come_too():
    axes = tuple(np.arange(side, dtype=float) for side in (160, 160, 160))
    scans = [draw_scanner(np.random.default_rng(seed), np.random.default_rng(0), axes) for seed in range(60)]
    counts = [one.slices.count for one in scans if one.slices is not None]
    assert min(counts) <= 160 / 8
    assert max(counts) > 160 / 2.5


def test_some_scans_are_striped_cut_off_or_stored_in_few_steps():
    scans = drawn(400)
    assert all(one.gains is None or len(one.gains) == one.slices.count for one in scans)
    assert 0.12 < np.mean([one.gains is not None for one in scans]) < 0.32
    assert 0.12 < np.mean([one.most is not None for one in scans]) < 0.28
    assert 0.12 < np.mean([one.step is not None for one in scans]) < 0.28


def test_what_is_stored_is_cut_off_and_in_steps_and_moved(classes):
    plan = draw(classes, np.random.default_rng(1), lesions=False)
    flair = replace(plan.scanners["flair"], most=None, step=None)
    images = [
        render(replace(plan, scanners={"flair": scan})).images["flair"]
        for scan in (flair, replace(flair, most=1.1, step=0.25), replace(flair, shift_mm=(1.0, 0.0, -2.0)))
    ]
    assert images[0].max() > 1.2
    np.testing.assert_allclose(images[1], np.rint(np.minimum(images[0], 1.1) / 0.25) * 0.25, atol=1e-6)
    np.testing.assert_allclose(images[2][:-1, :, 2:], images[0][1:, :, :-2], atol=1e-6)


def test_a_second_image_lies_a_little_off_the_first():
    scan = drawn(1)[0]
    shifts = np.array([misplaced(np.random.default_rng(seed), scan).shift_mm for seed in range(200)])
    assert 0.3 < shifts.std() < 0.9
    assert np.abs(shifts).max() < 5
