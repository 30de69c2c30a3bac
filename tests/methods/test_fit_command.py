"""`flairline fit` as a command: what it refuses, and in one line."""

import pytest

from flairline import recipes
from flairline.errors import InputError


def test_a_method_without_training_is_refused(flairline, tmp_path):
    ran = flairline("fit", "zscore", tmp_path / "scan.nii.gz", "-o", tmp_path / "model")
    assert ran.code == 2
    assert "zscore needs no training" in ran.err
    assert ran.err.count("\n") <= 1
    assert not (tmp_path / "model").exists()


def test_a_preset_that_is_not_there_is_refused(flairline, tmp_path):
    ran = flairline("fit", "synthetic_unet", tmp_path / "a.nii.gz", "--preset", "huge", "-o", tmp_path / "model")
    assert ran.code == 2
    assert "huge" in ran.err
    assert "small" in ran.err


def test_a_model_for_a_method_that_reads_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="reads no model"):
        recipes.load(f"zscore={tmp_path}").scorer()
