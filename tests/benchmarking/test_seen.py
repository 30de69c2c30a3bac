"""Patients that a model has seen are known by name, by their file, and by the voxels in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import pytest

from flairline import recipes
from flairline.benchmarking.seen import seen_cases
from flairline.io.files import sha256
from flairline.learning.data import voxels_sha256


def recipe_of(folder: Path, **scan: str) -> recipes.Recipe:
    """A recipe whose model was trained on one scan."""
    known = {"dataset": "", "subject": "", "sha256": "", "voxels_sha256": "", **scan}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"format": 1, "training": {"scans": [known]}}))
    return replace(recipes.load("histeq"), model=folder)


def test_without_a_model_nobody_was_seen(patients):
    assert seen_cases(recipes.load("histeq"), patients) == []


@pytest.mark.parametrize("known_by", ["name", "file", "voxels"])
def test_a_patient_is_known_again(patients, tmp_path, known_by):
    first = patients[0]
    scan = {
        "name": {"dataset": first.dataset, "subject": first.subject},
        "file": {"sha256": sha256(first.flair)},
        "voxels": {"voxels_sha256": voxels_sha256(first.flair)},
    }[known_by]
    recipe = recipe_of(tmp_path / "model", **scan)
    assert seen_cases(recipe, patients) == [first.key]
    if known_by == "voxels":  # the same image in another file, under another name
        copy = tmp_path / "copy.nii"
        nib.save(nib.load(first.flair), copy)
        assert seen_cases(recipe, [replace(first, subject="renamed", flair=copy)]) == ["mslub/renamed"]


def test_weights_of_the_package_know_whom_they_have_seen(patients, tmp_path):
    first = patients[0]
    trained = recipe_of(tmp_path / "model", dataset=first.dataset, subject=first.subject)
    shipped = replace(trained, model=None, shipped=trained.model)
    assert seen_cases(shipped, patients) == [first.key]
    assert "shipped" not in shipped.describe()
    own = recipes.load("synthetic_unet").shipped
    assert own is not None and own.exists()
    assert recipes.load(f"synthetic_unet={own}").shipped is None
