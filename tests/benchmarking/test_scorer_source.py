"""A function from a notebook is judged as any method is."""

from __future__ import annotations

import numpy as np

import flairline as fl
from flairline.benchmarking.scorer_source import ScorerSource
from flairline.benchmarking.source import MapSource
from flairline.datasets.phantom import Dataset


def brightness(scan: fl.Scan) -> fl.Volume:
    """What the control `intensity` does."""
    return fl.Volume(np.where(scan.brain.array, scan.flair.array, 0).astype(np.float32), scan.space)


def test_it_gets_the_rows_of_the_method_that_does_the_same(tmp_path):
    cases = list(Dataset(tmp_path, subjects=2, spacing_mm=5.0).cases())
    finished = fl.benchmark(cases, ["intensity"], own={"mine": brightness})
    rows = {(row.method, row.subject, row.metric): row.value for row in finished.rows}
    compared = [(key, value) for key, value in rows.items() if key[0] == "mine" and key[2] == "dice_oracle"]
    assert compared and all(value == rows["intensity", *key[1:]] for key, value in compared)


def test_no_kept_score_of_another_function_is_taken():
    first, second = ScorerSource("mine", brightness), ScorerSource("mine", brightness)
    assert first.describe() == first.describe() != second.describe()
    source: MapSource = first
    assert source.about.method == "" and source.reconstruction_quality() is None
