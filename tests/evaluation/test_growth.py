import numpy as np
import pytest
from scipy import ndimage

from flairline.evaluation.growth import filtered_gains, neighbour_steps

STRUCTURES = {6: 1, 18: 2, 26: 3}


def left_by_filter(marked: np.ndarray, smallest_kept_voxels: int, connectivity: int) -> np.ndarray:
    """The filter by scipy, at one threshold."""
    labels, _ = ndimage.label(marked, ndimage.generate_binary_structure(3, STRUCTURES[connectivity]))
    sizes = np.bincount(labels.ravel())
    return marked & (sizes[labels] >= smallest_kept_voxels)


@pytest.mark.parametrize("connectivity", STRUCTURES)
def test_neighbours(connectivity):
    steps = neighbour_steps(connectivity)
    assert len(set(steps)) == connectivity and (0, 0, 0) not in steps


@pytest.mark.parametrize("connectivity", STRUCTURES)
@pytest.mark.parametrize("smallest", [1, 2, 5, 20, 10_000])
@pytest.mark.parametrize("smooth", [0.0, 0.8])
def test_every_threshold_agrees_with_the_filter_run_at_it(connectivity, smallest, smooth):
    rng = np.random.default_rng(connectivity + smallest)
    shape, n_bins = (9, 10, 11), 12
    field = ndimage.gaussian_filter(rng.normal(size=shape), smooth) if smooth else rng.normal(size=shape)
    ranks = field.ravel().argsort().argsort().reshape(shape)
    bins = (ranks * n_bins // field.size).astype(np.int32)
    truth = rng.random(shape) < 0.3
    there = rng.random(shape) < 0.8  # not every voxel of the box takes part
    places = np.flatnonzero(there)
    gained = filtered_gains(bins[there], truth[there], places, shape, n_bins, smallest, connectivity)
    kept_true, kept_false = np.cumsum(gained[:, ::-1], axis=1)[:, ::-1]
    for level in range(n_bins):
        kept = left_by_filter((bins >= level) & there, smallest, connectivity)
        assert kept_true[level] == np.count_nonzero(kept & truth)
        assert kept_false[level] == np.count_nonzero(kept & ~truth)


def test_no_voxels_gain_nothing():
    nothing = np.zeros(0, np.int32)
    gained = filtered_gains(nothing, nothing.astype(bool), nothing.astype(np.int64), (3, 4, 5), 7, 20)
    assert gained.shape == (2, 7) and not gained.any()


def test_opposite_edges_of_the_box_do_not_touch():
    shape = (3, 4, 5)
    marked = np.zeros(shape, bool)
    marked[0, :, 4] = marked[1, :, 0] = True  # neighbours in memory only
    places = np.flatnonzero(marked)
    gained = filtered_gains(np.zeros(8, np.int32), np.ones(8, bool), places, shape, 1, 5)
    assert gained.sum() == 0
