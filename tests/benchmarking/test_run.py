"""A whole plan: what is written, what is not, on how many slices."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from scipy import ndimage

from flairline import recipes
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.run import run
from flairline.benchmarking.source import RecipeSource
from flairline.evaluation import protocols
from flairline.methods.base import load_method
from flairline.postprocess.maps import MapRule
from flairline.types import Volume


def test_where_all_fails_an_earlier_run_stays(patients, small, tmp_path):
    out = tmp_path / "out"
    run(Plan(patients, [RecipeSource(recipes.load("histeq"))], [small], out))
    before = {path.name: path.read_bytes() for path in out.glob("*.*")}
    broken = [replace(case, flair=tmp_path / "none.nii.gz") for case in patients]
    finished = run(
        Plan(broken, [RecipeSource(recipes.load("histeq"))], [small], out, incomplete={"mslub/patient03": "no truth"})
    )
    assert finished.nothing_done and len(finished.failures) == 3
    assert {path.name: path.read_bytes() for path in out.glob("*.*")} == before


def test_few_slices_are_scored_and_judged_and_the_manifest_says_so(patients, small, tmp_path):
    sound, out = protocols.load("sound"), tmp_path / "out"
    source = RecipeSource(recipes.load("histeq"))
    finished = run(Plan(patients, [source], [sound], out, slices=8))
    assert json.loads((out / "manifest.json").read_text())["parameters"]["protocol"]["brain_slices"] == 8
    (result,) = finished.results
    for stored in result.stored["mslub", "histeq"]:
        loaded = stored.load()
        judged = np.flatnonzero(loaded.brain.any(axis=(0, 1)))
        brain = source.labelled(stored.case, sound).scan.brain.array
        there = np.flatnonzero(brain.any(axis=(0, 1)))
        # Evenly spread: the nine gaps that eight slices leave are of about one width.
        gaps = np.diff([there[0], *judged, there[-1]])
        assert judged.size == 8 and gaps.max() - gaps.min() <= 1
        assert set(np.flatnonzero(loaded.truth.any(axis=(0, 1)))) <= set(judged)
        assert loaded.score.any(axis=(0, 1)).sum() == 8
    whole = run(Plan(patients, [source], [sound], tmp_path / "whole"))
    assert (
        "brain_slices" not in json.loads((tmp_path / "whole" / "manifest.json").read_text())["parameters"]["protocol"]
    )
    for few, all_of_it in zip(
        result.stored["mslub", "histeq"], whole.results[0].stored["mslub", "histeq"], strict=True
    ):
        kept, every = few.load(), all_of_it.load()
        judged = kept.brain.any(axis=(0, 1))
        np.testing.assert_array_equal(kept.score[..., judged], every.score[..., judged], "it saw the whole scan")
        np.testing.assert_array_equal(kept.truth[..., judged], every.truth[..., judged])
    positives = [finished.results[0].counts["mslub", "histeq"].positives for finished in (finished, whole)]
    assert 0 < positives[0] < positives[1]


def test_what_filters_a_score_does_not_wipe_out_few_slices(patients, small, tmp_path):
    maps = MapRule(positive_only=True, prior_quantile=0.9, median_voxels=3)
    filtered, source = replace(protocols.load("sound"), maps=maps), RecipeSource(recipes.load("histeq"))
    (stored, *_) = run(Plan(patients, [source], [filtered], tmp_path, slices=8)).results[0].stored["mslub", "histeq"]
    few = stored.load()
    assert few.score.any(axis=(0, 1)).sum() >= 6  # where anything is as bright as the prior wants
    plain = protocols.load("sound").prepare(source.labelled(stored.case, filtered))
    before = source.make(stored.case, protocols.load("sound")).score
    place = int(few.truth.sum(axis=(0, 1)).argmax())
    flair, brain = plain.scan.flair.array, plain.scan.brain.array
    alone = MapRule(positive_only=True).apply(before, flair, brain)[..., place]
    alone = np.where(flair[..., place] * brain[..., place] < np.quantile(flair * brain, 0.9), 0, alone)
    np.testing.assert_array_equal(few.score[..., place], ndimage.median_filter(alone, 3) * brain[..., place])


def test_what_takes_minutes_a_volume_sees_the_judged_slices_alone(patients, small, tmp_path, monkeypatch):
    seen = []

    def slow(recipe):
        return lambda scan: seen.append(scan) or Volume(scan.flair.array, scan.space)

    monkeypatch.setattr("flairline.benchmarking.source.ready_scorer", slow)
    monkeypatch.setattr(load_method("histeq"), "info", replace(load_method("histeq").info, iterative=True))
    run(Plan(patients[:1], [RecipeSource(recipes.load("histeq"))], [protocols.load("sound")], tmp_path, slices=8))
    (scan,) = seen
    assert scan.brain.array.any(axis=(0, 1)).sum() == 8 == scan.flair.array.any(axis=(0, 1)).sum()


def test_a_finished_run_can_drop_its_scores_or_keep_them(patients, tmp_path):
    source, sound = RecipeSource(recipes.load("histeq")), protocols.load("sound")
    run(Plan(patients, [source], [sound], tmp_path, keep_scores=True)).remove_scores()
    assert len(list((tmp_path / "work").glob("*/score.npz"))) == 2
    run(Plan(patients, [source], [sound], tmp_path)).remove_scores()
    assert not (tmp_path / "work").exists()
