"""The steps on a score map, and the protocol fields that turn them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flairline.evaluation.protocols import Protocol, load
from flairline.imaging.components import ComponentRule
from flairline.postprocess.maps import MapRule, eroded_in_plane
from flairline.preprocess.prepared import LabelledScan
from flairline.types import Mask, Scan, Space, Volume

SHAPE = (9, 11, 13)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    brain = np.zeros(SHAPE, np.bool_)
    brain[1:8, 1:10, 1:12] = True
    flair = np.where(brain, rng.random(SHAPE) + 1, 0).astype(np.float32)
    score = np.where(brain, rng.normal(size=SHAPE), 0).astype(np.float32)
    return score, flair, brain


def test_nothing_is_done_by_default(arrays):
    np.testing.assert_array_equal(MapRule().apply(*arrays), arrays[0])


def test_each_step_by_hand(arrays):
    score, flair, brain = arrays
    assert MapRule(positive_only=True).apply(*arrays).min() == 0
    eroded = MapRule(erode_brain_voxels=2).apply(*arrays)
    inner = np.zeros(SHAPE, np.bool_)
    inner[3:6, 3:8, 1:12] = True  # two layers in x and y, none in z
    np.testing.assert_array_equal(eroded_in_plane(brain, 2), inner)
    np.testing.assert_array_equal(eroded, np.where(inner, score, 0))
    # Half of this volume is background, so that the median of all voxels is below the brain's.
    prior = MapRule(prior_quantile=0.9).apply(*arrays)
    kept = flair >= np.quantile(flair, 0.9)
    np.testing.assert_array_equal(prior, np.where(kept, score, 0))
    single = np.zeros(SHAPE, np.float32)
    single[4, 5, 6] = 1
    assert MapRule(median_voxels=5).apply(single, flair, brain).max() == 0
    block = np.zeros(SHAPE, np.float32)
    block[2:7, 3:8, 4:9] = 1
    assert MapRule(median_voxels=5).apply(block, flair, brain)[4, 5, 6] == 1
    marked = MapRule(label_free_quantile=0.9).apply(*arrays)
    assert set(np.unique(marked)) == {0, 1}
    assert marked.sum() == pytest.approx(0.1 * brain.sum(), abs=1)
    assert score[marked == 1].min() > score[brain & (marked == 0)].max()


def scan_of(flair, brain, spacing_mm=(1.0, 1.0, 1.0)) -> LabelledScan:
    space = Space(flair.shape, np.diag([*spacing_mm, 1.0]))
    return LabelledScan(Scan.of("s", Volume(flair, space), Mask(brain, space)), brain.astype(np.float32))


def test_intensity_fields(arrays):
    _, flair, brain = arrays
    cast = Protocol("p", legacy_integer=True).prepare(scan_of(flair, brain)).scan.flair.array
    np.testing.assert_array_equal(cast, np.trunc(flair))
    clipped = Protocol("p", clip_quantile=0.998).prepare(scan_of(flair, brain)).scan.flair.array
    assert clipped.max() == 1
    np.testing.assert_allclose(clipped, np.minimum(flair / np.quantile(flair, 0.998), 1), rtol=1e-6)


@pytest.mark.parametrize("resize", ["index", "linear", "spline"])
def test_resize_keeps_the_axes(resize):
    """A bright block on the patient's left, in front, low, stays there."""
    flair = np.zeros(SHAPE, np.float32)
    flair[:4, 7:, :5] = 8
    brain = np.ones(SHAPE, np.bool_)
    made = Protocol("p", in_plane=6, resize=resize).prepare(scan_of(flair, brain))
    assert made.scan.flair.array.shape == (6, 6, 13)
    assert made.scan.brain.array.all()
    middle = np.argwhere(made.scan.flair.array > 4).mean(axis=0)
    assert middle[0] < 2.5 < middle[1]
    assert middle[2] == 2


def test_smallest_component_in_ml_follows_the_voxel():
    protocol = replace(load("native"), min_component_ml=0.02)
    assert protocol.components_at((1.0, 1.0, 1.0)).smallest_kept_voxels == 20
    assert protocol.components_at((2.0, 2.0, 1.0)).smallest_kept_voxels == 5
    assert protocol.components_at((1.875, 1.875, 1.0)).smallest_kept_voxels == 6
    assert load("native").components_at((2.0, 2.0, 1.0)).smallest_kept_voxels == 21
    score = np.zeros((9, 9, 9), np.float32)
    score[1:3, 1:3, 1] = 1
    brain = np.ones(score.shape, np.bool_)
    assert protocol.mask_at(score, brain, 0.5, (2.0, 2.0, 1.5)).sum() == 4
    assert protocol.mask_at(score, brain, 0.5, (2.0, 2.0, 1.0)).sum() == 0


def test_presets_are_what_they_were():
    """The numbers of the published experiments must not move with the fields that were added."""
    for name in ("experiment-1", "experiment-2", "native"):
        protocol = load(name)
        assert protocol.maps == MapRule()
        assert not protocol.merge_labels
        assert (protocol.resize, protocol.legacy_integer, protocol.clip_quantile) == ("index", False, None)
        assert protocol.components == ComponentRule(20, 26, legacy_filled_area=True)
        assert (protocol.n_thresholds, protocol.truth_above, protocol.brain_only) == (100, 0.9, False)
    baur = load("baur")
    assert baur.components.smallest_kept_voxels == 8
    assert baur.maps == MapRule(True, 12, 0.9, 5)
