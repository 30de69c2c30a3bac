"""Lesions as they are drawn: one vocabulary, plausible places, never hidden in tissue as bright as themselves."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from flairline.synthesis import anatomy as tissue
from flairline.synthesis import diseases, lesion_kinds
from flairline.synthesis.diseases import Pencil, Site, drawn_shape
from flairline.synthesis.evaluate import nearest_labels, pushed
from flairline.synthesis.lesions import Part, Push, Within
from flairline.synthesis.render_numpy import NumpyArrays, render
from flairline.synthesis.training import draw, look


def site_of(plan) -> Site:
    return look(plan.anatomy, plan.axes_mm, plan.deformation, 1.5)


def plain(classes, seed: int = 0):
    """A plan without lesions, noise, blur and uneven signal; white matter 1 and cortex 1.5."""
    plan = draw(classes, np.random.default_rng(seed), lesions=False)
    levels = np.where(np.arange(len(tissue.CLASSES)) == tissue.CORTEX, 1.5, 1.0)
    contrast = replace(
        plan.contrasts["flair"],
        levels=levels,
        uneven=(),
        flow=None,
        glows=(),
        septum=None,
        wide_plexus=False,
        texture=(),
        blur_mm=0,
    )
    bias = replace(plan.scanners["flair"].bias, strength=0.0)
    scanner = replace(
        plan.scanners["flair"], bias=bias, blur_mm=(0, 0, 0), slices=None, noise=None, late_blur_mm=0, late_noise=None
    )
    scanner = replace(scanner, gains=None, most=None, step=None)
    return replace(plan, contrasts={"flair": contrast}, scanners={"flair": scanner})


def pencil_for(site: Site, seed: int) -> Pencil:
    rng = np.random.default_rng(seed)
    return Pencil(site, rng, np.random.default_rng(seed), np.random.default_rng(seed))


def test_phantoms_and_diseases_are_made_of_the_same_kinds(classes):
    site = site_of(plain(classes))
    drawn: Counter = Counter()
    for seed in range(60):
        rngs = [np.random.default_rng((seed, i)) for i in range(3)]
        drawn.update({lesion.kind for lesion in diseases.draw_disease(site, *rngs, None)})
    assert set(drawn) <= set(lesion_kinds.KINDS)
    assert set(lesion_kinds.PHANTOM_KINDS) <= set(lesion_kinds.KINDS)
    assert {"periventricular", "tumour", "infarct", "confluent"} <= set(drawn)
    assert sum(lesion_kinds.DISEASES.values()) == pytest.approx(1)


def test_a_lesion_in_white_matter_need_not_outshine_the_cortex_but_never_hides(classes):
    """Its level is drawn from white matter's on; where tissue is as bright already, it is a tenth brighter at least."""
    plan = plain(classes)
    healthy, site = render(plan), site_of(plan)
    levels, ratios = [], []
    for seed in range(200):
        pencil = pencil_for(site, seed)
        levels.append(pencil.brightness())
        if seed % 20 == 0:
            blob = replace(pencil.blob(pencil.shape // 2, np.full(3, 99.0), 0.0, 1.0), roughness_mm=None)
            part = Part(blob, Within("anywhere"), pencil.bright("confluent", levels[-1]))
            sick = render(replace(plan, lesions=(diseases.DrawnLesion("confluent", (part,)),)))
            full = (sick.share > 0.999) & (healthy.images["flair"] > 0)
            ratios.append(float((sick.images["flair"] / healthy.images["flair"])[full].min()))
    assert min(levels) >= 1.1
    assert 0.1 < np.mean(np.array(levels) < 1.5) < 0.6
    assert min(ratios) >= 1.1 - 1e-3


def test_places_are_of_the_classes_asked_for_and_crowd_at_the_ventricles(classes):
    site = site_of(plain(classes))
    pencil = pencil_for(site, 0)
    anywhere, near = (pencil.places((tissue.WHITE,), 400, length) // 2 for length in (None, 2.0))
    for places in (anywhere, near):
        assert (site.labels[tuple(places.T)] == tissue.WHITE).all()
    assert site.ventricle_mm[tuple(near.T)].mean() < 0.7 * site.ventricle_mm[tuple(anywhere.T)].mean()
    assert pencil.places((tissue.PALLIDUM,), 5).shape == (0, 3)


def test_a_blob_is_as_large_as_it_says_and_half_full_at_its_border(classes):
    plan = plain(classes)
    pencil = pencil_for(site_of(plan), 1)
    blob = pencil.blob(pencil.shape // 2, np.array([8.0, 6.0, 7.0]), 0.0, 1.5)
    part = Part(blob, Within("anywhere"), pencil.bright("infarct", 1.7))
    found = render(replace(plan, lesions=(diseases.DrawnLesion("infarct", (part,)),)))
    assert (found.numbers == 1).sum() == pytest.approx(4 / 3 * np.pi * 8 * 6 * 7, rel=0.05)
    np.testing.assert_array_equal(found.numbers == 1, found.share >= 0.5)


def test_a_confluent_lesion_lies_in_white_matter_at_the_ventricles(classes):
    plan = plain(classes)
    pencil = pencil_for(site_of(plan), 2)
    found = render(replace(plan, lesions=(diseases._confluent(pencil, 1.6, 4.0),)))
    labels = nearest_labels(NumpyArrays(), plan.anatomy, plan.deformation, plan.axes_mm)
    far_mm = ndimage.distance_transform_edt(labels != tissue.VENTRICLE)
    inside = found.share > 0.5
    assert inside.sum() > 50
    assert (labels[inside] == tissue.WHITE).mean() > 0.9
    assert far_mm[inside].max() < 12


def test_shapes_of_other_patients_are_placed_where_they_were_drawn(classes):
    """Scaled from their box onto the scan's, on one side or the other."""
    anatomy = np.full((82, 93, 84), tissue.WHITE, np.uint8)
    anatomy[40:42, 45:47, 40:42] = tissue.VENTRICLE
    plan = plain(anatomy)
    still = replace(plan.deformation, matrix=np.eye(3), displacement_mm=((), (), ()))
    x, y, z = (np.arange(side) - (side - 1) / 2 for side in anatomy.shape)
    plan = replace(plan, deformation=still, axes_mm=(x, y, z))
    shape = np.zeros((165, 198, 169), np.bool_)
    shape[98:113, 89:109, 96:106] = True
    pencil = pencil_for(site_of(plan), 0)
    found = render(replace(plan, lesions=drawn_shape(pencil, [shape])))
    places = np.argwhere(found.share > 0.5) / (np.array(anatomy.shape) - 1)
    expected = np.argwhere(shape).mean(axis=0) / (np.array(shape.shape) - 1)
    apart = [np.abs(places.mean(axis=0) - side).max() for side in (expected, expected * [-1, 1, 1] + [1, 0, 0])]
    assert min(apart) < 0.08
    assert (found.images["flair"][found.share > 0.5] > 1).all()


def test_a_push_is_farthest_at_the_radius_and_halved_at_its_root_of_two():
    push = Push(np.array([1.0, 2.0, 3.0]), 10.0, 4.0)
    off = np.array([[0.0, 10.0, 10.0 * np.sqrt(2), 5.0]]).T * [1.0, 0, 0]
    mm = (push.centre_mm + off).astype(np.float32).T
    moved = np.linalg.norm(mm - pushed(NumpyArrays(), mm, push), axis=0)
    np.testing.assert_allclose(moved, [0, 4, 2, 2], atol=1e-3)


def test_a_blob_of_hard_edge_is_a_ball():
    depth = np.array([-1e-4, 0, 1e-4], np.float32)
    np.testing.assert_array_equal(NumpyArrays().ramp(depth, 0.0), [0, 1, 1])
    np.testing.assert_allclose(NumpyArrays().ramp(np.array([-1, 0, 0.5], np.float32), 2.0), [0, 0.5, 0.75])
