"""What a case is called: a folder of results that no other case has."""

from pathlib import Path

import pytest

from flairline.cases.names import cases_from_files, folder_names, named
from flairline.errors import InputError
from flairline.types import Case


def names_of(*paths: str) -> list[str]:
    return folder_names([Case("", "", Path(path)) for path in paths])


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/sub-01_ses-2_FLAIR.nii.gz", "a/sub-02_flair.nii"], ["sub-01_ses-2", "sub-02"]),
        (["a/flair.nii.gz"], ["flair"]),
        (["a/x.y.nii.gz"], ["x.y"]),
        (["p1/flair.nii.gz", "p2/flair.nii.gz", "p3/other.nii.gz"], ["p1", "p2", "other"]),
        (["x/sub-1_FLAIR.nii.gz", "y/sub-1_FLAIR.nii.gz"], ["x", "y"]),
        (["sub-01/anat/flair.nii.gz", "sub-02/ses-a/anat/flair.nii.gz"], ["sub-01", "sub-02_ses-a"]),
        (["sub-01/ses-2/anat/sub-01_FLAIR.nii.gz"], ["sub-01_ses-2"]),  # the name leaves the session out
        (["sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz"], ["sub-01_ses-2"]),
        (["sub-01/ses-2/sub-07_FLAIR.nii.gz"], ["sub-07"]),  # the name knows better than another subject's folder
        (["ses-2/flair.nii.gz", "sub-01/a/b/c/t2f.nii.gz"], ["flair", "t2f"]),
        ([".nii.gz"], ["_"]),
    ],
)
def test_names(paths, names):
    assert names_of(*paths) == names


@pytest.mark.parametrize(
    "paths",
    [
        ["a/flair.nii.gz", "a/flair.nii.gz"],
        ["x/a/flair.nii.gz", "y/a/flair.nii.gz"],
        ["a/flair.nii.gz", "b/flair.nii.gz", "c/a.nii.gz"],
    ],
)
def test_names_that_still_clash_are_refused(paths):
    with pytest.raises(InputError, match="would both be called"):
        names_of(*paths)


def test_a_subject_cannot_leave_the_output_folder():
    names = folder_names([Case("d", "../../etc", None), Case("d", "/abs", None), Case("d", "..", None)])
    assert all("/" not in name and not name.startswith(".") for name in names)


def test_a_subject_called_cohort_is_a_subject_as_any_other():
    cases = [Case("d", "cohort"), Case("d", "s", session="cohort")]
    assert folder_names(cases) == ["cohort", "s_cohort"]
    assert [case.key for case in cases] == ["d/cohort", "d/s_cohort"]


def test_cases_of_a_table_that_share_a_subject_are_told_apart_by_their_data_set():
    cases = [Case("a", "1"), Case("b", "1"), Case("b", "2")]
    assert folder_names(cases) == ["a_1", "b_1", "2"]
    assert [case.subject for case in named(cases)] == ["a_1", "b_1", "2"]


def test_one_t1_cannot_belong_to_two_flairs():
    with pytest.raises(InputError, match="2 FLAIRs and one --t1"):
        cases_from_files([Path("a.nii"), Path("b.nii")], t1=Path("t1.nii"))
