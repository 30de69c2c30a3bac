"""The paper's figures 2 and 3, and Dice by lesion size."""

from __future__ import annotations

import numpy as np

from flairline import recipes
from flairline.benchmarking.paper import figures as paper_figures
from flairline.benchmarking.source import RecipeSource


def test_figures_are_written_as_png_and_svg(done, tmp_path):
    names = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    for stem in ("figure2_experiment-1_histeq", "figure3_experiment-2_histeq", "precision_recall_experiment-1"):
        assert {f"{stem}.png", f"{stem}.svg"} <= names
    assert "dice_by_threshold_experiment-1_highpass.svg" in names
    assert "dice_by_lesion_size_experiment-2_intensity.png" in names
    assert "figure3_experiment-1_intensity.png" not in names


def test_samples_show_left_on_the_right_and_the_truths_slice(done):
    result = done.results[0]
    samples = list(paper_figures.choose_samples(result, RecipeSource(recipes.load("histeq"))))
    assert [sample.dataset for sample in samples] == ["MSLUB", "MSLUB", "MSSEG2015"]
    assert samples[0].truth.sum() == 16
    shown = paper_figures.as_shown(samples[0].truth)
    _, column = np.argwhere(shown).mean(axis=0)
    assert column > shown.shape[1] / 2  # the block lies on the patient's left


def test_dice_by_size_adds_up_to_the_cohorts_dice(done):
    result = done.results[0]
    dice, lesions = paper_figures.dice_by_size(result, "mslub")
    assert lesions.tolist() == [0, 0, 2, 0, 0]  # 48 voxels of 3 microlitres
    counts = result.counts["mslub", "histeq"]
    if not np.nan_to_num(dice)[[0, 1, 3, 4]].any():
        assert np.isfinite(dice[2])
        assert dice[2] >= counts.oracle().dice - 1e-9  # wholly false finds are in other classes
