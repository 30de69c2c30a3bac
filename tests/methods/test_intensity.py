import numpy as np

from flairline.methods.intensity import Method


def test_it_is_the_scan_inside_the_brain(scan):
    scan.flair.array[~scan.brain.array] = -7
    score = Method().fit()(scan)
    np.testing.assert_array_equal(score.array[scan.brain.array], scan.flair.array[scan.brain.array])
    assert (score.array[~scan.brain.array] == 0).all()
    assert score.space is scan.space and score.array.dtype == np.float32
