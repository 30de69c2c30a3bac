"""What lies beyond the rest of a cohort."""

from __future__ import annotations

import numpy as np

from flairline.report.outliers import figures_of, outlying
from flairline.report.pages import CohortScan
from flairline.summary import Quality, Summary


def test_outliers_are_what_lies_beyond_the_outer_fence():
    assert outlying(np.array([1.0, 2, 3, 4, 5, 100])).tolist() == [False] * 5 + [True]
    assert not outlying(np.array([0.98, 0.98, 0.98, 0.98 + 1e-9])).any()
    assert outlying(np.array([0.0] * 9 + [1.0])).tolist() == [False] * 9 + [True]


def test_the_figures_of_a_contrast_are_no_distributions():
    qc = Quality(figures={"t1_below": 1.9, "near_fluid": 0.5, "noise": 0.02})
    scans = [CohortScan(Summary(subject=name, qc=qc), folder=name) for name in "abc"]
    assert list(figures_of(scans)) == ["Noise"]
