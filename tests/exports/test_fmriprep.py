"""The name under which fMRIPrep finds a lesion mask: what pybids takes for the suffix `roi` in a folder `anat`."""

from __future__ import annotations

import re

import pytest

from flairline.exports.fmriprep import roi_path


@pytest.mark.parametrize(
    ("t1", "subject", "wanted"),
    [
        ("sub-01_T1w.nii.gz", "x", "sub-01/anat/sub-01_label-lesion_roi.nii.gz"),
        (
            "sub-01_ses-b_acq-mp2_run-1_T1w.nii",
            "x",
            "sub-01/ses-b/anat/sub-01_ses-b_acq-mp2_run-1_label-lesion_roi.nii.gz",
        ),
        ("t1.nii.gz", "sub-7_ses-2", "sub-7/ses-2/anat/sub-7_ses-2_label-lesion_roi.nii.gz"),
        ("t1.nii.gz", "study-04a_1", "sub-study04a1/anat/sub-study04a1_label-lesion_roi.nii.gz"),
        ("", "", "sub-unnamed/anat/sub-unnamed_label-lesion_roi.nii.gz"),
    ],
)
def test_the_name_has_the_entities_of_the_t1(t1, subject, wanted):
    path = roi_path(t1, subject).as_posix()
    assert path == wanted
    # pybids: the datatype is the folder, the suffix what stands between the last underscore and the extension.
    assert re.search(r"/(anat)/[^/]+_([a-zA-Z0-9]+)(\.nii\.gz)$", path).groups() == ("anat", "roi", ".nii.gz")
