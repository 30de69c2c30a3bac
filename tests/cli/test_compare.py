"""`flairline compare` on what `bids` left."""

from __future__ import annotations

import json
import shutil

import pytest

from flairline.io.nifti import read_volume, write_volume
from flairline.types import Volume

# The fixtures of the cohort's tests make phantoms of four different people; here one is scanned twice.


@pytest.fixture
def visits(phantoms, tmp_path):
    """A data set of one subject with two sessions."""
    case = phantoms(4, patients=True)[0]
    for session in ("1", "2"):
        anat = tmp_path / "raw" / "sub-01" / f"ses-{session}" / "anat"
        anat.mkdir(parents=True)
        shutil.copy(case.flair, anat / f"sub-01_ses-{session}_FLAIR.nii.gz")
    flair = read_volume(anat / "sub-01_ses-2_FLAIR.nii.gz")
    write_volume(anat / "sub-01_ses-2_FLAIR.nii.gz", Volume(flair.array * 3, flair.space))
    return tmp_path / "raw"


def test_two_sessions_of_one_subject(flairline, visits, tmp_path):
    ran = flairline("bids", visits, tmp_path / "o", "participant", "--method", "histeq", "--brain", "none")
    assert ran.code == 0, ran.err
    folders = [tmp_path / "o" / "sub-01" / f"ses-{session}" for session in (1, 2)]
    ran = flairline("compare", *folders, "-o", tmp_path / "changes")
    assert ran.code == 0, ran.err
    assert "sub-01_ses-1 -> sub-01_ses-2" in ran.out and "Research use only" in ran.out and "Page:" in ran.out
    content = json.loads((tmp_path / "changes" / "comparison.json").read_text())
    assert content["change_ml"] == 0 and set(content["kinds"]) > {"new", "resolved"}
    ran = flairline("compare", *folders, "-o", tmp_path / "changes", "--json")
    assert json.loads(ran.out) == content
    assert "Name one of them" in flairline("compare", tmp_path / "o" / "sub-01", folders[1], "-o", tmp_path / "x").line
    assert not (tmp_path / "x").exists()
    assert "there is none at" in flairline("compare", folders[0], tmp_path / "none", "-o", tmp_path / "x").line
