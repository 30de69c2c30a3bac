"""Filled lesions: a phantom has the tissues that its twin without lesions has, and the rest stays as it was."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from flairline.errors import ImageError
from flairline.exports.after import write_filled_t1
from flairline.exports.filling import fill_lesions, white_matter
from flairline.exports.on_t1 import on_t1
from flairline.synthesis.phantom import phantom
from flairline.types import Mask, Space, Volume

from ..conftest import ORIENTATIONS

SPACING_MM = 2.0
LESIONS = (*("periventricular",) * 6, *("punctate",) * 4)


@pytest.fixture(scope="module")
def pair():
    """A phantom with lesions and its twin without: one anatomy, one noise."""
    scan, truth, _ = phantom(11, SPACING_MM, LESIONS)
    healthy, _, _ = phantom(11, SPACING_MM, ())
    np.testing.assert_array_equal(scan.brain.array, healthy.brain.array)
    return scan, truth, healthy


def tissues_ml(t1, brain, limits):
    """Volumes of fluid, grey and white matter by thresholds that know nothing of lesions or of filling."""
    counts = np.bincount(np.digitize(t1[brain], limits), minlength=3)
    return counts * SPACING_MM**3 / 1000


def test_the_tissues_of_a_filled_phantom_are_those_of_its_healthy_twin(pair):
    """The thresholds are those of scikit-learn's mixture of three tissues in the healthy twin."""
    mixture = pytest.importorskip("sklearn.mixture").GaussianMixture
    scan, truth, healthy = pair
    brain = healthy.brain.array
    fitted = mixture(3, random_state=0).fit(healthy.t1.array[brain].reshape(-1, 1)[::7])
    means = np.sort(fitted.means_.ravel())
    limits = (means[:-1] + means[1:]) / 2
    filled = fill_lesions(scan.t1, truth, scan.brain)
    wanted = tissues_ml(healthy.t1.array, brain, limits)
    wrong_before = np.abs(tissues_ml(scan.t1.array, brain, limits) - wanted)
    wrong_after = np.abs(tissues_ml(filled.array, brain, limits) - wanted)
    assert wrong_before.max() > 0.3 * truth.volume_ml
    assert wrong_after.max() < 0.25 * wrong_before.max()


def test_the_filling_is_as_bright_and_as_noisy_as_the_white_matter_of_the_twin(pair):
    scan, truth, healthy = pair
    filled = fill_lesions(scan.t1, truth, scan.brain).array
    white = truth.array & white_matter(healthy.t1.array, healthy.brain.array)
    assert white.sum() > 200
    assert filled[white].mean() == pytest.approx(healthy.t1.array[white].mean(), rel=0.03)
    assert filled[white].std() == pytest.approx(healthy.t1.array[white].std(), rel=0.35)
    np.testing.assert_array_equal(filled[~truth.array], scan.t1.array[~truth.array])


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_noise(pair):
    scan, truth, _ = pair
    first, again, other = (fill_lesions(scan.t1, truth, scan.brain, seed).array for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other)[truth.array].mean() > 0.99


def slab(bias=0.0):
    """Fluid, grey and white matter side by side, brighter to the front by `bias` a voxel; a dark hole in the white."""
    shape = (30, 32, 34)
    t1 = np.zeros(shape, np.float32)
    t1[:8], t1[8:14], t1[14:] = 100, 300, 500
    t1 += bias * np.arange(shape[1], dtype=np.float32)[:, np.newaxis]
    t1 += np.random.default_rng(0).normal(0, 4, shape).astype(np.float32)
    hole = np.zeros(shape, bool)
    hole[20:26, 10:22, 12:20] = True
    healthy = t1.copy()
    t1[hole] = 150
    space = Space(shape, np.diag([1.0, 1.5, 2.0, 1.0]))
    return Volume(t1, space), Mask(hole, space), Mask(np.ones(shape, bool), space), healthy


def test_a_bias_field_goes_on_through_the_lesion():
    t1, hole, brain, healthy = slab(bias=4.0)
    filled = fill_lesions(t1, hole, brain).array
    front, back = (slice(20, 26), slice(20, 22), slice(12, 20)), (slice(20, 26), slice(10, 12), slice(12, 20))
    for place in (front, back):
        assert filled[place].mean() == pytest.approx(healthy[place].mean(), abs=12)
    assert filled[front].mean() - filled[back].mean() > 15  # of 40


def test_only_the_inner_white_matter_is_taken():
    t1, hole, brain, _ = slab()
    white = white_matter(t1.array, brain.array & ~hole.array)
    assert white[16:19, 2:-2, 2:-2].all() and not white[:15].any() and not white[hole.array].any()


def test_without_lesions_nothing_changes_and_without_tissues_it_is_said():
    t1, hole, brain, _ = slab()
    none = Mask(np.zeros_like(hole.array), hole.space)
    np.testing.assert_array_equal(fill_lesions(t1, none, brain).array, t1.array)
    flat = Volume(np.ones_like(t1.array), t1.space)
    for image, where in ((flat, brain), (t1, none)):
        with pytest.raises(ImageError, match="Wanted a T1 with white matter"):
            fill_lesions(image, hole, where)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_file_lies_as_the_t1_and_differs_in_the_lesions_alone(orientation, make_found, tmp_path):
    found = make_found(orientation)
    path = write_filled_t1(on_t1(found), tmp_path)
    before, after = nib.load(tmp_path / f"flair-{orientation}.nii.gz"), nib.load(path)
    assert before.shape == after.shape
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-5)
    changed = np.argwhere(before.get_fdata() != after.get_fdata())
    world = nib.affines.apply_affine(before.affine, changed)
    wanted = nib.affines.apply_affine(found.scan.space.vox_to_ras, np.argwhere(found.mask.array))
    assert {tuple(np.round(point, 3) + 0.0) for point in world} == {tuple(np.round(point, 3) + 0.0) for point in wanted}
