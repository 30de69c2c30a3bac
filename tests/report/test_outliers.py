"""What lies beyond the rest of a cohort."""

from __future__ import annotations

import numpy as np

from flairline.report.outliers import outlying


def test_outliers_are_what_lies_beyond_the_outer_fence():
    assert outlying(np.array([1.0, 2, 3, 4, 5, 100])).tolist() == [False] * 5 + [True]
    assert not outlying(np.array([0.98, 0.98, 0.98, 0.98 + 1e-9])).any()
    assert outlying(np.array([0.0] * 9 + [1.0])).tolist() == [False] * 9 + [True]
