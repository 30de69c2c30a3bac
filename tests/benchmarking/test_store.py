"""Scores of single scans on disk: kept once, made anew when anything changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flairline import recipes
from flairline.benchmarking import store
from flairline.benchmarking.source import RecipeSource
from flairline.errors import InputError
from flairline.evaluation import protocols
from flairline.evaluation.judged_scan import JudgedScan
from flairline.io.store import Store

NATIVE = protocols.load("native")


def test_what_was_written_is_read(tmp_path):
    rng = np.random.default_rng(0)
    score = rng.random((7, 8, 9), dtype=np.float32) - np.float32(0.5)
    truth, brain, mask = score > 0.4, score > -0.4, score > 0.3
    scan = JudgedScan.from_arrays(np.where(brain, score, 0), truth, brain, brain_only=False)
    store.write(tmp_path / "score.npz", scan, truth, mask, (1.0, 1.5, 2.0))
    loaded = store.read(tmp_path / "score.npz")
    np.testing.assert_array_equal(loaded.score, np.where(brain, score, 0))
    for back, given in ((loaded.truth, truth), (loaded.brain, brain), (loaded.mask, mask)):
        np.testing.assert_array_equal(back, given)
    assert loaded.spacing_mm == (1.0, 1.5, 2.0) and loaded.scan.n_rest == scan.n_rest
    store.write(tmp_path / "score.npz", scan, truth, None, (1.0, 1.5, 2.0))
    assert store.read(tmp_path / "score.npz").mask is None


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "score.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"score\.npz is damaged"):
        store.read(tmp_path / "score.npz")


def test_a_score_is_kept_until_what_it_depends_on_changes(patients, tmp_path, save, make_head):
    kept, source = Store.at(tmp_path / "work"), RecipeSource(recipes.load("histeq"))
    first = store.keep(patients[0], source, NATIVE, kept)
    written = first.path.stat().st_mtime_ns
    again = store.keep(patients[0], source, NATIVE, kept)
    assert again == first and again.path.stat().st_mtime_ns == written
    assert set(first.figures) and first.has_truth
    others = [
        store.keep(patients[0], source, replace(NATIVE, truth_above=0.5), kept),
        store.keep(patients[0], RecipeSource(recipes.load("intensity")), NATIVE, kept),
    ]
    save(patients[0].truth, np.roll(make_head(0).truth, 1, 0).astype(np.uint8))
    others.append(store.keep(patients[0], source, NATIVE, kept))
    assert len({first.path, *(other.path for other in others)}) == 4
