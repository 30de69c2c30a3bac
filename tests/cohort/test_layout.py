"""Which scans a BIDS folder has."""

from __future__ import annotations

import json
import time

import pytest

from flairline.cases.columns import participants_of
from flairline.cohort.layout import Filters, read_layout, truth_of
from flairline.errors import InputError


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


@pytest.fixture
def root(tmp_path):
    return touch(
        tmp_path / "data",
        "sub-2/anat/sub-2_FLAIR.nii.gz",
        "sub-2/anat/sub-2_T1w.nii",
        "sub-2/func/sub-2_task-rest_bold.nii.gz",
        "sub-10/ses-b/anat/sub-10_ses-b_acq-3d_FLAIR.nii.gz",
        "sub-10/ses-b/anat/sub-10_ses-b_acq-2d_FLAIR.nii.gz",
        "sub-10/ses-b/anat/sub-10_ses-b_ce-gd_T1w.nii.gz",
        "sub-10/ses-b/anat/sub-10_ses-b_acq-mprage_run-2_T1w.nii.gz",
        "sub-10/ses-b/anat/sub-10_ses-b_acq-mprage_run-10_T1w.nii.gz",
        "sub-10/ses-a/anat/sub-10_ses-a_FLAIR.nii.gz",
        "sub-10/ses-a/anat/sub-10_ses-a_space-MNI_T1w.nii.gz",
        "sub-3/anat/sub-3_T2w.nii.gz",
        "derivatives/other/sub-4/anat/sub-4_FLAIR.nii.gz",
        "sourcedata/sub-5/anat/sub-5_FLAIR.nii.gz",
    )


def test_scans_are_found_in_natural_order_and_nothing_else(root):
    layout = read_layout(root)
    assert [visit.name for visit in layout.visits] == ["sub-2", "sub-10_ses-a", "sub-10_ses-b"]
    assert layout.without_flair == ("sub-3",)
    first, second, third = layout.visits
    assert dict(first.files) == {"flair": "sub-2/anat/sub-2_FLAIR.nii.gz", "t1": "sub-2/anat/sub-2_T1w.nii"}
    assert set(second.files) == {"flair"}  # the T1 is on another grid
    assert third.folder == "sub-10/ses-b"
    case = first.case(root)
    assert case.flair == root / "sub-2/anat/sub-2_FLAIR.nii.gz" and case.t2 is None and case.subject == "sub-2"


def test_of_several_the_plainest_is_taken_and_that_is_said(root):
    visit = read_layout(root).visits[2]
    assert visit.files["flair"].endswith("acq-2d_FLAIR.nii.gz")
    assert visit.files["t1"].endswith("run-2_T1w.nii.gz")
    assert any("acq-2d_FLAIR.nii.gz is used, not sub-10_ses-b_acq-3d_FLAIR.nii.gz" in note for note in visit.notes)


@pytest.mark.parametrize("wanted", ["3d", ["3d", "none"]])
def test_a_filter_file_chooses(root, tmp_path, wanted):
    file = tmp_path / "filter.json"
    file.write_text(json.dumps({"flair": {"acquisition": wanted, "datatype": "anat"}, "t1w": {"ceagent": "gd"}}))
    (visit,) = read_layout(root, Filters.of(file=file)).visits
    assert visit.files["flair"].endswith("acq-3d_FLAIR.nii.gz") and visit.files["t1"].endswith("ce-gd_T1w.nii.gz")


def test_a_filter_may_ask_for_files_without_an_entity(root, tmp_path):
    file = tmp_path / "filter.json"
    file.write_text('{"flair": {"acquisition": null}}')
    assert [visit.name for visit in read_layout(root, Filters.of(file=file)).visits] == ["sub-2", "sub-10_ses-a"]


def test_an_image_that_the_filter_file_takes_away_is_named(root, tmp_path):
    file = tmp_path / "filter.json"
    file.write_text('{"t1w": {"acquisition": "nosuch"}}')
    visit = read_layout(root, Filters.of(file=file)).visits[0]
    assert set(visit.files) == {"flair"} and visit.notes == ("t1: none, as the filter file leaves out sub-2_T1w.nii",)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ({"acquisition": "*"}, "acq-3d_run-01"),  # fMRIPrep: whatever the value
        ({"acquisition": "Query.ANY", "run": [2]}, "acq-3d_run-02"),  # a run is a number: 2 is 02
        ({"acquisition": "Query.NONE", "suffix": "FLAIR"}, "run-3"),
        ({"acquisition": "Query.OPTIONAL", "run": "3", "extension": [".nii", ".nii.gz"]}, "run-3"),
        ({"acq": ["3d", None], "run": 3}, "run-3"),
    ],
)
def test_a_filter_file_may_be_one_of_fmriprep(tmp_path, wanted, chosen):
    names = ("acq-3d_run-01", "acq-3d_run-02", "run-3")
    root = touch(tmp_path / "data", *(f"sub-1/anat/sub-1_{name}_FLAIR.nii.gz" for name in names))
    file = tmp_path / "filter.json"
    file.write_text(json.dumps({"bold": {"task": "rest"}, "FLAIR": {"datatype": "anat", **wanted}}))
    (visit,) = read_layout(root, Filters.of(file=file)).visits
    assert visit.files["flair"] == f"sub-1/anat/sub-1_{chosen}_FLAIR.nii.gz"


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[]", "{}", '[{"flair": {}}]', '{"bold": {"task": "rest"}}', '{"flair": 3}', '{"flare": {}}'),
        *('{"t1w": {"acquisiton": "3d"}}', '{"flair": {"suffix": "T2w"}}'),
    ],
)
def test_a_filter_file_that_says_nothing_is_refused(root, tmp_path, content):
    (tmp_path / "filter.json").write_text(content)
    with pytest.raises(InputError, match=r"filter\.json"):
        Filters.of(file=tmp_path / "filter.json")


def test_labels_with_and_without_their_prefix(root):
    layout = read_layout(root, Filters.of(["sub-10"], ["ses-b"]))
    assert [visit.name for visit in layout.visits] == ["sub-10_ses-b"]
    with pytest.raises(InputError, match=r"participants 11 in .*data.*There are 3"):
        read_layout(root, Filters.of(["11"]))
    with pytest.raises(InputError, match="none of 1 subjects"):
        read_layout(root, Filters.of(["3"]))
    with pytest.raises(InputError, match=r"the sessions c in .*data"):
        read_layout(root, Filters.of([], ["ses-c"]))
    # One subject of many may lack a session, so that is no error; it is kept to be said.
    layout = read_layout(root, Filters.of([], ["ses-b", "ses-c"]))
    assert ([visit.name for visit in layout.visits], layout.missing_sessions) == (["sub-10_ses-b"], ("c",))


def test_a_label_may_hold_a_plus(tmp_path):
    """BIDS has letters, numbers and + since 1.8: a folder must not be passed over in silence."""
    root = touch(tmp_path / "data", "sub-a+b/ses-1+2/anat/sub-a+b_ses-1+2_FLAIR.nii.gz")
    assert [visit.name for visit in read_layout(root).visits] == ["sub-a+b_ses-1+2"]


def test_a_folder_that_is_no_data_set(tmp_path):
    with pytest.raises(InputError, match="not there"):
        read_layout(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no sub-\*"):
        read_layout(tmp_path)


def test_the_truth_is_what_the_data_set_bids_takes_for_one(root, tmp_path):
    masks = touch(
        tmp_path / "masks",
        "sub-2/anat/sub-2_label-lesion_mask.nii.gz",
        "sub-10/ses-a/anat/sub-10_ses-a_desc-brain_mask.nii.gz",
        "sub-10/ses-b/sub-10_ses-b_space-orig_label-WMH_mask.nii.gz",
    )
    first, second, third = read_layout(root).visits
    assert truth_of(first, masks) == masks / "sub-2/anat/sub-2_label-lesion_mask.nii.gz"
    assert truth_of(second, masks) is None
    assert truth_of(third, masks) is None  # of another space


def test_participants(root):
    assert participants_of(root) == ([], {})
    (root / "participants.tsv").write_text("participant_id\tage\tsite\nsub-2\t70\tA\nsub-10\tn/a\tB\n")
    columns, values = participants_of(root)
    assert columns == ["age", "site"] and values["2"] == {"age": "70", "site": "A"}
    (root / "participants.tsv").write_text("participant_id,age\nsub-2,70\n")
    with pytest.raises(InputError, match="participant_id"):
        participants_of(root)


def test_a_thousand_subjects_take_less_than_a_second(tmp_path):
    for number in range(1000):
        anat = tmp_path / f"sub-{number:04d}" / "anat"
        anat.mkdir(parents=True)
        for suffix in ("FLAIR", "T1w"):
            (anat / f"sub-{number:04d}_{suffix}.nii.gz").touch()
    started = time.process_time()
    assert len(read_layout(tmp_path).visits) == 1000
    assert time.process_time() - started < 1
