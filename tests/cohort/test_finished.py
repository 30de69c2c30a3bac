"""Reading back what `segment` and `bids` left: what is unfinished, failed, moved or another one is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from flairline.cohort.finished import read_finished
from flairline.cohort.state import ScanState, failed, read_state
from flairline.errors import GridError, InputError
from flairline.io.nifti import read_mask
from flairline.postprocess.threshold import BrainQuantile
from flairline.segmentation import Settings, segment_case


@pytest.fixture
def segmented(phantoms, tmp_path):
    """A subject's folder as `segment` leaves it, beside its scan."""
    case = phantoms(4, patients=True)[0]
    scan = shutil.copytree(case.flair.parent, tmp_path / "scans")
    case = replace(case, flair=scan / case.flair.name, t1=None, truth=None)
    settings = Settings("histeq", BrainQuantile(0.97), regions=False)
    return case, segment_case(case, tmp_path / "out", settings).folder


def test_a_segmented_folder_knows_its_scan(segmented):
    _, folder = segmented
    visit = read_finished(folder)
    assert visit.name == folder.name and visit.patient == ""
    np.testing.assert_array_equal(visit.mask.array, read_mask(folder / "mask.nii.gz").array)
    assert visit.flair.space.same_grid(visit.brain.space) and visit.flair_sha256
    assert not json.loads((folder / "sources.json").read_text())["flair"].startswith("/")


def test_a_scan_that_has_moved_can_be_named_and_another_is_refused(segmented, phantoms, tmp_path):
    case, folder = segmented
    moved = case.flair.rename(tmp_path / "moved.nii.gz")
    with pytest.raises(InputError, match=r"is not at .* any more\. Name it: --earlier-flair"):
        read_finished(folder)
    assert read_finished(folder, moved).flair_sha256
    with pytest.raises(InputError, match="is another"):
        read_finished(folder, phantoms(4, patients=True)[1].flair)
    (folder / "sources.json").unlink()
    with pytest.raises(InputError, match="nothing says where its FLAIR lies"):
        read_finished(folder)


def test_unfinished_and_damaged_folders_are_named(segmented, save, tmp_path):
    _, folder = segmented
    with pytest.raises(InputError, match="there is none at"):
        read_finished(tmp_path / "nowhere")
    save(folder / "mask.nii.gz", np.ones((4, 5, 6), np.uint8))
    with pytest.raises(GridError, match=r"mask\.nii\.gz is not on the grid"):
        read_finished(folder)
    (folder / "sources.json").write_text("[")
    with pytest.raises(InputError, match=r"sources\.json"):
        read_finished(folder)
    (folder / "summary.json").unlink()
    with pytest.raises(InputError, match=r"has no summary\.json: it failed or was cut off"):
        read_finished(folder)


def test_bids_derivatives(finished, tmp_path):
    visit = read_finished(finished / "sub-02" / "ses-1")
    assert (visit.name, visit.patient) == ("sub-02_ses-1", "sub-02")
    assert read_finished(finished / "sub-01").name == "sub-01" == read_finished(finished / "sub-01" / "anat").name
    with pytest.raises(InputError, match=r"has 2: ses-1, ses-2\. Name one of them"):
        read_finished(finished / "sub-02")
    with pytest.raises(InputError, match="that of all"):
        read_finished(finished)
    out = shutil.copytree(finished, tmp_path / "out")
    failed(ScanState("sub-01", "", "failed"), "it was bad.").write(out)
    with pytest.raises(InputError, match=r"sub-01 failed: it was bad\."):
        read_finished(out / "sub-01")
    state = read_state(out / "state" / "sub-03.json")
    (out / next(iter(state.outputs))).unlink()
    with pytest.raises(InputError, match="sub-03 is not done"):
        read_finished(out / "sub-03")
    (out / "state" / "sub-02_ses-1.json").unlink()
    with pytest.raises(InputError, match="sub-02_ses-1 is not done"):
        read_finished(out / "sub-02" / "ses-1")
