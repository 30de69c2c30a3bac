import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label, regionprops

from flairline.imaging.components import ComponentRule, label_components, remove_small_components

SHAPE = (11, 12, 13)


def published(mask: np.ndarray) -> np.ndarray:
    """The published rule by scikit-image: a region goes if its filled area is at most 20."""
    kept = mask.copy()
    labels = label(mask, connectivity=3)
    for region in regionprops(labels):
        if region.area_filled <= 20:
            kept[labels == region.label] = False
    return kept


@pytest.mark.parametrize("density", [0.05, 0.12, 0.3])
@pytest.mark.parametrize("smooth", [False, True])
def test_the_legacy_rule_is_that_of_regionprops(density, smooth):
    rng = np.random.default_rng(int(density * 100))
    field = rng.normal(size=SHAPE)
    field = ndimage.gaussian_filter(field, 0.7) if smooth else field
    mask = field > np.quantile(field, 1 - density)
    rule = ComponentRule(20, 26, legacy_filled_area=True)
    np.testing.assert_array_equal(remove_small_components(mask, rule), published(mask))


def test_the_legacy_rule_on_a_hollow_shell():
    """26 voxels around one hole: the smallest component that has a hole at all, so it stays by either rule."""
    mask = np.zeros(SHAPE, bool)
    mask[2:5, 2:5, 2:5] = True
    mask[3, 3, 3] = False
    np.testing.assert_array_equal(remove_small_components(mask, ComponentRule(20, 26, True)), published(mask))


@pytest.mark.parametrize(("legacy", "voxels", "stays"), [(False, 19, 0), (False, 20, 1), (True, 20, 0), (True, 21, 1)])
def test_the_limit_is_inclusive_as_said(legacy, voxels, stays):
    mask = np.zeros(SHAPE, bool)
    mask.ravel()[:0] = True
    mask[1, 1, :] = True
    mask[2, 1, :] = True
    mask[np.unravel_index(np.flatnonzero(mask)[voxels:], SHAPE)] = False
    assert mask.sum() == voxels
    assert remove_small_components(mask, ComponentRule(20, 26, legacy)).any() == bool(stays)


@pytest.mark.parametrize(("connectivity", "left"), [(6, 0), (18, 4), (26, 6)])
def test_connectivity(connectivity, left):
    mask = np.zeros((7, 8, 9), bool)
    mask[1, 1, 1] = mask[1, 2, 2] = mask[1, 3, 3] = mask[1, 4, 4] = True  # by edges
    mask[2, 5, 5] = mask[3, 6, 6] = True  # by corners
    assert remove_small_components(mask, ComponentRule(4, connectivity)).sum() == left


@given(st.integers(0, 2**32 - 1), st.sampled_from([6, 18, 26]), st.integers(0, 30), st.permutations([0, 1, 2]))
def test_flips_and_permuted_axes_move_the_mask_alike(seed, connectivity, size, axes):
    mask = np.random.default_rng(seed).random((5, 6, 7)) < 0.2
    rule = ComponentRule(size, connectivity)
    kept = remove_small_components(mask, rule)
    assert not (kept & ~mask).any()
    np.testing.assert_array_equal(remove_small_components(kept, rule), kept)
    moved = np.ascontiguousarray(np.flip(mask.transpose(axes), 1))
    np.testing.assert_array_equal(remove_small_components(moved, rule), np.flip(kept.transpose(axes), 1))


def test_no_filter_and_nothing_to_filter():
    mask = np.zeros((3, 4, 5), bool)
    assert not remove_small_components(mask, ComponentRule()).any()
    mask[1, 1, 1] = True
    for least in (0, 1):
        kept = remove_small_components(mask, ComponentRule(least))
        assert kept.sum() == 1 and kept is not mask


def test_labels_and_sizes():
    mask = np.zeros((7, 8, 9), bool)
    mask[0, 0, :3] = mask[5, 5, 5] = True
    labels, sizes = label_components(mask)
    assert sorted(sizes[1:]) == [1, 3] and sizes[0] == mask.size - 4
    assert all((labels == number).sum() == size for number, size in enumerate(sizes))
