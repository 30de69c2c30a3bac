"""Tumours as they are: from 1 to 250 ml, of bright, grey and dark parts, all of them lesion, and they push."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from flairline.synthesis import anatomy as tissue
from flairline.synthesis import tumours
from flairline.synthesis.evaluate import nearest_labels
from flairline.synthesis.lesions import DrawnLesion, Push
from flairline.synthesis.pencil import Pencil, Site
from flairline.synthesis.render_numpy import NumpyArrays, render
from flairline.synthesis.training import MIN_LESION, draw, look, pushed_away


@pytest.fixture(scope="module")
def plan():
    """A large head of white matter in cortex in skin, without noise, blur and bias; and the site of its lesions."""
    x, y, z = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in (120, 132, 112)), indexing="ij")
    r = np.sqrt((x / 60) ** 2 + (y / 66) ** 2 + (z / 56) ** 2)
    classes = np.select([r < 0.2, r < 0.75, r < 0.88, r < 0.94], [2, 5, 4, 1], 17).astype(np.uint8)
    drawn = draw(classes, np.random.default_rng(0), lesions=False)
    flair, scanner = drawn.contrasts["flair"], drawn.scanners["flair"]
    even = replace(flair, uneven=(), flow=None, glows=(), septum=None, wide_plexus=False, texture=(), blur_mm=0.0)
    still = replace(scanner, blur_mm=(0, 0, 0), slices=None, noise=None, late_blur_mm=0, late_noise=None)
    still = replace(still, bias=replace(scanner.bias, strength=0.0), gains=None, most=None, step=None)
    return replace(drawn, contrasts={"flair": even}, scanners={"flair": still})


@pytest.fixture(scope="module")
def site(plan) -> Site:
    return look(plan.anatomy, plan.axes_mm, plan.deformation, plan.contrasts["flair"].brightest)


def pencil_for(site: Site, seed: int) -> Pencil:
    return Pencil(site, *(np.random.default_rng((seed, i)) for i in range(3)))


def test_tumours_are_of_one_to_250_ml(plan, site, monkeypatch):
    """By their outlines, evenly on a logarithmic scale; of several each is smaller."""
    monkeypatch.setattr(tumours, "SEVERAL_SHARE", 0.0)
    volumes = []
    monkeypatch.setattr(
        tumours, "_GROWN_BY", {how: lambda _, growth: volumes.append(growth) or [] for how in tumours.GROWTH}
    )
    for seed in range(300):
        tumours.tumour(pencil_for(site, seed))
    ml = np.array([4 / 3 * np.pi * growth.radius_mm**3 / 1000 for growth in volumes])
    assert 1 <= ml.min() < 1.3
    assert 190 < ml.max() <= 250
    assert 11 < np.median(ml) < 23


@pytest.mark.parametrize("how", list(tumours.GROWTH))
def test_the_truth_is_the_whole_of_a_tumour_however_dark_its_parts(plan, site, how, monkeypatch):
    """Whatever looks other than before is lesion, and nothing else is: also dark cores and cavities."""
    monkeypatch.setattr(tumours, "GROWTH", {how: 1.0})
    monkeypatch.setattr(tumours, "PUSHING_SHARE", 0.0)
    healthy = render(plan)
    darker = 0
    for seed in range(6):
        lesions = tumours.tumour(pencil_for(site, seed))
        found = render(replace(plan, lesions=lesions))
        change = found.images["flair"] - healthy.images["flair"]
        truth = found.share >= MIN_LESION
        assert truth.sum() > 200
        assert not (np.abs(change) > 0.02)[found.share == 0].any()
        assert (np.abs(change)[truth] > 0.02).mean() > 0.7
        holes = ndimage.binary_fill_holes(truth) & ~truth & (healthy.images["flair"] > 0.9)
        assert holes.sum() < 0.05 * truth.sum()
        darker += int((change[truth] < -0.1).sum())
    assert darker > 0 or how == "diffuse"


def test_masses_are_of_every_brightness(plan, site):
    levels = []
    for seed in range(80):
        parts = tumours._mass(pencil_for(site, seed), tumours._Growth(np.array([60, 66, 56]), np.full(3, 15.0)))
        levels += [part.paint.levels["flair"] for part in parts if part.within.region == "brain"]
    assert min(levels) < 0.85
    assert max(levels) > 1.4
    assert 0.2 < np.mean(np.array(levels) < 1.1) < 0.8


def test_what_is_pushed_moves_away_and_the_skull_stays(plan, site):
    anatomy, axes = plan.anatomy, plan.axes_mm
    still = replace(plan.deformation, matrix=np.eye(3), displacement_mm=((), (), ()))
    push = Push(np.array([22.0, 4.0, 2.0]), 16.0, 8.0)
    moved = pushed_away(site, still, (DrawnLesion("tumour", (), push),))
    labels = [nearest_labels(NumpyArrays(), anatomy, deformation, axes) for deformation in (still, moved)]
    middles = [np.argwhere(found == tissue.VENTRICLE).mean(axis=0) for found in labels]
    assert -8 < (middles[1] - middles[0])[0] < -2  # away from the tumour, to the left
    assert np.abs((middles[1] - middles[0])[1:]).max() < 1.5
    skin = [found == tissue.SKIN for found in labels]
    assert (skin[0] ^ skin[1]).sum() < 0.01 * skin[0].sum()
    assert pushed_away(site, still, ()) is still
