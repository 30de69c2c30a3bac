"""Signal of tissue: within its ranges, in FLAIR and in T1, on plain data."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from flairline.synthesis import anatomy as tissue
from flairline.synthesis.contrast import FLAIR, GLOWS, T1, Glow, draw_flair, draw_levels, draw_septum, draw_t1
from flairline.synthesis.evaluate import nearest_labels
from flairline.synthesis.fields import scaled, smooth
from flairline.synthesis.render_numpy import NumpyArrays, render
from flairline.synthesis.scanner import Bias
from flairline.synthesis.training import draw

AXES = tuple(np.arange(side, dtype=float) for side in (12, 14, 10))


def test_every_class_but_the_outside_and_the_cortex_has_a_range_in_both_channels():
    named = set(range(len(tissue.CLASSES))) - {tissue.OUTSIDE, tissue.CORTEX}
    assert set(FLAIR) == set(T1) == named


def test_levels_lie_in_their_ranges_and_white_matter_is_one():
    for seed in range(20):
        levels = draw_levels(np.random.default_rng(seed), FLAIR)
        assert levels[tissue.WHITE] == 1
        assert levels[tissue.OUTSIDE] == levels[tissue.CORTEX] == 0
        assert all(low <= levels[index] <= high for index, (low, high) in FLAIR.items())


def test_grey_matter_is_about_as_bright_as_white_in_flair_and_darker_in_t1():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        flair, t1 = draw_flair(rng, rng, AXES), draw_t1(rng, AXES)
        assert 0.95 <= flair.levels[tissue.CORTEX] <= 1.5
        assert flair.brightest == max(1, flair.levels[tissue.CORTEX])
        assert t1.levels[tissue.CORTEX] < 0.9
        assert t1.levels[tissue.CSF] < t1.levels[tissue.CORTEX]
        apart = [flair.levels[i] - flair.levels[tissue.CORTEX] for i in (tissue.CAUDATE, tissue.PUTAMEN)]
        assert np.abs(apart).max() < 0.4  # grey matter goes with the cortex


def test_what_is_bright_and_normal_comes_as_often_as_it_should():
    drawn = [draw_flair(np.random.default_rng(seed), np.random.default_rng(0), AXES) for seed in range(300)]
    assert 0.4 < np.mean([contrast.flow is not None for contrast in drawn]) < 0.6
    assert 0.5 < np.mean([contrast.wide_plexus for contrast in drawn]) < 0.7
    for kind in GLOWS:
        found = [glow for contrast in drawn for glow in contrast.glows if (glow.onto, glow.near) == kind_of(kind)]
        alike = [other for other in GLOWS if kind_of(other) == kind_of(kind)]
        assert len(found) / len(drawn) == pytest.approx(sum(other.share for other in alike), abs=0.1)
        assert max(glow.strength for glow in found) <= max(other.strength[1] for other in alike)


def kind_of(kind) -> tuple:
    return kind.onto, kind.near


def test_a_glow_is_bright_along_its_border_and_nowhere_else(classes):
    plan = draw(classes, np.random.default_rng(4), lesions=False)
    bare = replace(plan.contrasts["flair"], uneven=(), flow=None, glows=(), septum=None, texture=(), blur_mm=0.0)
    scanner = replace(plan.scanners["flair"], bias=Bias((plan.scanners["flair"].bias.field), 0.0))
    still = replace(scanner, blur_mm=(0, 0, 0), slices=None, noise=None, late_blur_mm=0, late_noise=None)
    still = replace(still, gains=None, most=None, step=None)
    even = smooth(np.random.default_rng(0), plan.axes_mm, 40)
    glow = Glow((tissue.WHITE,), (tissue.VENTRICLE,), 0.4, 8.0, 1.0, scaled(even, 0.0))
    found = []
    for glows in ((), (glow,)):
        contrast = replace(bare, glows=glows, wide_plexus=False)
        found.append(render(replace(plan, contrasts={"flair": contrast}, scanners={"flair": still})).images["flair"])
    more = found[1] - found[0]
    labels = nearest_labels(NumpyArrays(), plan.anatomy, plan.deformation, plan.axes_mm)
    far_mm = ndimage.distance_transform_edt(labels != tissue.VENTRICLE)
    white = labels == tissue.WHITE
    assert more[white & (far_mm <= 1)].min() > 0.3
    assert more[white & (far_mm > 5)].max() < 0.02
    assert not more[~white].any()


def test_the_septum_lies_between_the_ventricles_and_is_a_millimetre_or_two_thick(classes):
    plan = draw(classes, np.random.default_rng(4), lesions=False)
    sheets = [draw_septum(np.random.default_rng(seed), plan.anatomy) for seed in range(100)]
    assert 0.45 < np.mean([sheet is not None for sheet in sheets]) < 0.75
    sheet = next(sheet for sheet in sheets if sheet is not None)
    contrast = replace(plan.contrasts["flair"], uneven=(), flow=None, glows=(), texture=(), blur_mm=0.0)
    contrast = replace(contrast, wide_plexus=False, septum=replace(sheet, level=5.0))
    bare = replace(plan.scanners["flair"], blur_mm=(0, 0, 0), slices=None, noise=None, late_blur_mm=0, late_noise=None)
    bare = replace(bare, bias=replace(bare.bias, strength=0.0), gains=None, most=None, step=None)
    image = render(replace(plan, contrasts={"flair": contrast}, scanners={"flair": bare})).images["flair"]
    labels = nearest_labels(NumpyArrays(), plan.anatomy, plan.deformation, plan.axes_mm)
    painted = image == 5
    assert painted.any()
    assert (labels[painted] == tissue.VENTRICLE).all()
    assert painted.sum(axis=0).max() <= 4
