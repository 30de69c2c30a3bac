"""Training scans: from a label map and a seed, with or without lesions, with or without a T1."""

import subprocess
import sys
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from flairline.errors import InputError
from flairline.synthesis import anatomy as tissue
from flairline.synthesis.evaluate import nearest_labels
from flairline.synthesis.fields import Deformation
from flairline.synthesis.lesions import DrawnLesion
from flairline.synthesis.phantom import draw as draw_phantom
from flairline.synthesis.plan import Rendered
from flairline.synthesis.render_numpy import NumpyArrays
from flairline.synthesis.training import Z_RANGE, draw, synthesise, t1_widths, truth_of, widen_ventricles


def test_a_synthetic_scan_depends_on_its_seed_alone(classes):
    pytest.importorskip("torch")
    one, again, other = (synthesise(classes, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.truth, again.truth)
    assert one.image.shape != other.image.shape or not np.array_equal(one.image, other.image)
    assert not (one.truth & ~one.brain).any()
    assert one.image.dtype == np.float16
    assert one.t1 is None
    assert (one.image[~one.brain] == Z_RANGE[0]).all()


def test_a_synthetic_scan_without_lesions_has_an_empty_truth(classes):
    pytest.importorskip("torch")
    scan = synthesise(classes, np.random.default_rng(5), lesions=False)
    assert not scan.truth.any()
    assert scan.brain.any()


def test_the_flair_is_the_same_with_a_t1_beside_it(classes):
    pytest.importorskip("torch")
    for seed in (3, 4):
        alone = synthesise(classes, np.random.default_rng(seed))
        both = synthesise(classes, np.random.default_rng(seed), channels=("flair", "t1"))
        np.testing.assert_array_equal(alone.image, both.image)
        np.testing.assert_array_equal(alone.truth, both.truth)
        assert both.t1 is not None
        assert both.t1.shape == both.image.shape
        assert not np.array_equal(both.t1, both.image)


def test_other_channels_are_refused(classes):
    with pytest.raises(InputError, match="'t2'"):
        draw(classes, np.random.default_rng(0), channels=("flair", "t2"))


def test_ventricles_are_widened_by_what_is_asked(classes):
    anatomy = tissue.labelled(classes)
    x, y, z = (np.arange(side) - (side - 1) / 2 for side in classes.shape)
    still = Deformation(np.eye(3), np.zeros(3), np.zeros(3), ((), (), ()))
    volumes = []
    for most_mm in (0.0, 2.0, 4.0):
        wider = widen_ventricles(anatomy, (x, y, z), still, most_mm)
        pull = np.stack([lattice.values for (lattice,) in wider.displacement_mm])
        assert np.linalg.norm(pull, axis=0).max() <= most_mm + 0.1
        labels = nearest_labels(NumpyArrays(), anatomy, wider, (x, y, z))
        volumes.append((labels == tissue.VENTRICLE).sum())
    assert volumes[0] == (classes == tissue.VENTRICLE).sum()
    assert volumes[1] > 1.3 * volumes[0]
    assert volumes[2] > 1.3 * volumes[1]


def plain_values(value) -> bool:
    """Whether a drawn value is made of frozen dataclasses, numbers, words, slices and arrays of numpy alone."""
    if is_dataclass(value):
        return value.__dataclass_params__.frozen and all(plain_values(getattr(value, f.name)) for f in fields(value))
    if isinstance(value, dict):
        return all(plain_values(part) for part in (*value, *value.values()))
    if isinstance(value, tuple):
        return all(map(plain_values, value))
    return value is None or type(value) in (int, float, str, bool, slice, np.ndarray)


def test_what_is_drawn_is_plain_data(classes):
    for seed in range(12):
        assert plain_values(draw(classes, np.random.default_rng(seed), channels=("flair", "t1")))
    assert plain_values(draw_phantom(0, (4, 4, 4), with_skull=True)[0])


def test_drawing_loads_no_torch():
    code = (
        "import sys, numpy as np\nfrom flairline.synthesis.training import draw\n"
        "from flairline.synthesis.phantom import phantom\n"
        "x, y, z = np.meshgrid(*(np.arange(24) - 12,) * 3)\n"
        "r = np.sqrt(x**2 + y**2 + z**2)\n"
        "draw(np.select([r < 2, r < 6, r < 9], [2, 5, 4], 0).astype(np.uint8), np.random.default_rng(0))\n"
        "phantom(0, 8.0)\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("seed", range(6))
def test_a_scan_knows_where_it_lies_in_the_atlas_whichever_side_is_left(classes, seed):
    """The map of an anatomy is made as if the brain lay 40 mm to the right: mirrored, it lies 40 mm to the left."""
    to_atlas = np.eye(4)
    to_atlas[:3, 3] = (40.0, -7.0, 3.0)
    plan = draw(classes, np.random.default_rng(seed), lesions=False, to_atlas=to_atlas)
    labels = nearest_labels(NumpyArrays(), plan.anatomy, plan.deformation, plan.axes_mm)
    there = np.argwhere(labels == tissue.WHITE).mean(axis=0)
    assert plan.vox_to_atlas is not None
    x, y, z = (plan.vox_to_atlas @ [*there, 1])[:3]
    before = np.argwhere(classes == tissue.WHITE).mean(axis=0) + tissue.labelled(classes).origin_mm
    assert abs(x) == pytest.approx(40 + before[0], abs=4)
    assert (y, z) == pytest.approx((before[1] - 7, before[2] + 3), abs=4)
    assert draw(classes, np.random.default_rng(seed)).vox_to_atlas is None


def test_a_t1_is_seen_in_half_widths_from_its_median_and_is_nothing_outside(classes):
    brain = np.zeros((7, 8, 9), np.bool_)
    brain[1:6, 1:7, 1:8] = True
    image = np.random.default_rng(0).normal(500, 40, brain.shape)
    found = t1_widths(image, brain)
    assert not found[~brain].any()
    assert abs(np.median(found[brain])) < 1e-3
    assert found[brain].std() == pytest.approx(1, abs=0.15)
    np.testing.assert_allclose(t1_widths(image * 3 - 70, brain), found, atol=1e-4)
    assert np.abs(t1_widths(image * 0, brain)).max() == 0


@pytest.mark.parametrize(("height", "at_half"), [(1.0, 0.5), (0.7, 0.35), (0.4, 0.25)])
def test_lesions_of_white_matter_end_at_half_of_their_height_and_tumours_where_they_end(classes, height, at_half):
    plan = draw(classes, np.random.default_rng(0))
    share = np.zeros((21, 9, 9), np.float32)
    share[1:20] = height * np.minimum(1, np.linspace(0, 6, 19, dtype=np.float32)).reshape(19, 1, 1)
    rendered = Rendered({}, share >= 0, share, np.zeros(share.shape, np.int32))
    for kinds, least in ((("tumour",), 0.25), (("punctate", "confluent"), at_half), (("punctate", "tumour"), 0.25)):
        found = truth_of(replace(plan, lesions=tuple(DrawnLesion(kind) for kind in kinds)), rendered)
        assert share[found].max() == pytest.approx(height)
        assert least - 0.001 <= share[found].min() < least + 0.34 * height


def test_a_faint_small_lesion_is_not_lost_to_half_of_its_height(classes):
    plan = replace(draw(classes, np.random.default_rng(0)), lesions=(DrawnLesion("punctate"),))
    share = np.zeros((15, 15, 15), np.float32)
    share[7, 7, 7], share[7, 7, 8] = 0.45, 0.3
    found = truth_of(plan, Rendered({}, share >= 0, share, np.zeros(share.shape, np.int32)))
    assert found.sum() == 2
