"""The peak of a scan is that of the scan, not that of the process."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from flairline.cohort import memory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process forget its peak")
def test_a_peak_is_forgotten():
    memory.forget_peak()
    before = memory.peak_mb()
    large = np.ones(200 * 2**17)  # 200 MB
    assert memory.peak_mb() > before + 150
    del large
    memory.forget_peak()
    assert memory.peak_mb() < before + 100


def test_without_proc_it_is_that_of_the_process(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "PROC", tmp_path)
    memory.forget_peak()
    assert memory.peak_mb() > 10
