"""What is kept of a scan to judge it."""

from __future__ import annotations

import numpy as np
import pytest

from flairline.evaluation.judged_scan import JudgedScan

SHAPE = (7, 8, 9)


def scan_of(brain_only: bool) -> tuple[JudgedScan, np.ndarray]:
    """A brain of 2 x 8 x 9 voxels, a score in it and one voxel beside it, lesions in it and beside it."""
    brain, truth, score = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool), np.zeros(SHAPE, np.float32)
    brain[2:4] = True
    score[2:4] = 1
    score[6, 0, 0] = -3
    truth[3, 4, 4] = truth[5, 5, 5] = True
    return JudgedScan.from_arrays(score, truth, brain, brain_only), score


def test_all_voxels_are_there_or_counted():
    scan, score = scan_of(brain_only=False)
    assert scan.places.size == 2 * 8 * 9 + 1 and scan.fills_its_box
    assert scan.rest.tolist() == [1, 7 * 8 * 9 - 2 * 8 * 9 - 2]
    assert scan.extremes == (-3.0, 1.0)
    np.testing.assert_array_equal(scan.dense(scan.score), score)


def test_outside_the_brain_is_nothing_where_the_brain_alone_is_judged():
    scan, _ = scan_of(brain_only=True)
    assert scan.places.size == 2 * 8 * 9 and scan.n_rest == 0 and not scan.fills_its_box
    assert scan.rest.tolist() == [0, 0] and scan.truth.sum() == 1
    assert scan.extremes == (1.0, 1.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused(bad):
    score = np.zeros(SHAPE, np.float32)
    score[3, 3, 3] = bad
    with pytest.raises(ValueError, match="finite"):
        JudgedScan.from_arrays(score, score > 1, score == 0, False)
