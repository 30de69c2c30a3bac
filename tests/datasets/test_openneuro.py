"""Data sets of OpenNeuro, on trees laid out as theirs are: who is judged, who is learned from, who is left out."""

import json
from pathlib import Path

import pytest

from flairline import registry
from flairline.errors import InputError


def dataset(name, folder, **words):
    return registry.load("datasets", name)(folder, **words)


def table(root: Path, columns: list[str], rows: list[list[str]]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "participants.tsv").write_text("\n".join("\t".join(row) for row in [columns, *rows]) + "\n")


@pytest.fixture
def bonn(tmp_path, put, small):
    """ds004199: two patients, one of them without a drawing, three controls of whom one is not in the table."""
    root = tmp_path / "ds004199"
    flair, truth = small()
    for number, acquisition, drawn in (
        (1, "T2sel", True),
        (2, "tse3dvfl", False),
        (3, "T2sel", False),
        (5, "T2sel", False),
    ):
        name = f"sub-{number:05d}"
        put(root / name / "anat" / f"{name}_acq-{acquisition}_FLAIR.nii.gz", flair + number)
        put(root / name / "anat" / f"{name}_acq-iso08_T1w.nii.gz", flair[1:])  # a grid of its own
        if drawn:
            put(root / name / "anat" / f"{name}_acq-{acquisition}_FLAIR_roi.nii.gz", truth)
    put(root / "derivatives" / "x" / "sub-00003" / "anat" / "sub-00003_acq-other_FLAIR.nii.gz", flair)
    rows = [
        ["sub-00001", "fcd", "M", "4", "4"],
        ["sub-00002", "fcd", "F", "1", "6"],
        ["sub-00003", "hc", "F", "n/a", "12"],
    ]
    table(root, ["participant_id", "group", "sex", "age_epilepsyonset", "age_scan"], rows)
    return root


def test_patients_are_judged_and_controls_learned_from(bonn):
    (patient,) = dataset("ds004199", bonn).cases()
    assert (patient.subject, patient.truth.name) == ("00001", "sub-00001_acq-T2sel_FLAIR_roi.nii.gz")
    assert patient.t1.name == "sub-00001_acq-iso08_T1w.nii.gz"
    assert (patient.extra["group"], patient.extra["sex"], patient.extra["age"]) == ("fcd", "M", "15-20")
    (control,) = dataset("ds004199", bonn).scans()
    assert (control.subject, control.truth, control.extra["age"]) == ("00003", None, "55-60")
    assert control.flair.name == "sub-00003_acq-T2sel_FLAIR.nii.gz"
    assert dataset("ds004199", bonn).healthy() == [control]


def test_who_is_neither_is_named(bonn):
    (said,) = dataset("ds004199", bonn).several()
    assert said == "ds004199, healthy people: 3 of 4 scans left out (2 of patients, 1 of unknown group)."
    left_out = [name for name, _ in dataset("ds004199", bonn).left_out()]
    assert left_out == ["ds004199/00002", "ds004199/00005"]  # a control lacks nothing


def test_check_wants_a_truth_of_patients_and_one_grid_of_the_truth_alone(bonn, flairline):
    ran = flairline("datasets", "check", "ds004199", bonn, "--json")
    result = json.loads(ran.out)
    assert (ran.code, result["usable"], result["there"]) == (1, 2, 4)
    assert {(row["scan"], row["file"]) for row in result["findings"] if row["kind"] == "missing"} == {
        ("00002", "truth"),
        ("00005", "truth"),
    }
    assert not [row for row in result["findings"] if row["what"].startswith("grid")]


LEIPZIG = ["participant_id", "gender", "age (5-year bins)"]


def openneuro(root: Path, put, small, accession: str) -> Path:
    """A tree as the data set's own: names, sessions, columns of the age."""
    flair, _ = small()
    named = root / "download"
    if accession == "ds000221":
        rows = [["sub-010001", "M", "20-25"], ["sub-010002", "F", "40-45"], ["sub-010003", "F", "65-70"]]
        rows.append(["sub-010004", "F", "n/a"])
        table(named, LEIPZIG, rows)
        for name, *_ in rows:
            for end in ("acq-lowres_FLAIR", "acq-highres_FLAIR", "acq-mp2rage_T1w", "acq-mp2rage_T1map", "T2w"):
                put(named / name / "ses-01" / "anat" / f"{name}_ses-01_{end}.nii.gz", flair)
    elif accession == "ds003592":
        table(named, ["participant_id", "age", "sex"], [["sub-04", "23", "F"], ["sub-120", "45", "M"]])
        for name in ("sub-04", "sub-120"):
            for end in ("FLAIR", "T1w"):
                put(named / name / "ses-1" / "anat" / f"{name}_ses-1_{end}.nii.gz", flair)
    elif accession == "ds004215":
        table(named, ["participant_id", "age", "sex"], [["sub-ON01016", "21", "male"], ["sub-ON00632", "75", "male"]])
        for name in ("sub-ON01016", "sub-ON00632"):
            for end in ("acq-2d_run-01_FLAIR", "acq-mprage_run-01_T1w"):
                put(named / name / "ses-01" / "anat" / f"{name}_ses-01_{end}.nii.gz", flair)
    else:
        columns = ["participant_id", "Sex", "AgeMRI_W1", "AgeMRI_W2", "AgeMRI_W3"]
        table(named, columns, [["sub-1003", "f", "42", "46", ""], ["sub-1015", "m", "33", "n/a", "41"]])
        for name in ("sub-1003", "sub-1015"):
            for wave in ("wave1", "wave2", "wave3"):
                for end in ("FLAIR", "run-1_T1w"):
                    put(named / name / f"ses-{wave}" / "anat" / f"{name}_ses-{wave}_{end}.nii.gz", flair)
    doi = {"Name": "x", "BIDSVersion": "1.2.1", "DatasetDOI": f"doi:10.18112/openneuro.{accession}.v1.0.0"}
    (named / "dataset_description.json").write_text(json.dumps(doi))
    return named


KEPT = {
    "ds000221": [("ds000221-sub-010001", "01", "20-25"), ("ds000221-sub-010002", "01", "40-45")],
    "ds003592": [("ds003592-sub-04", "1", "23")],
    "ds004215": [("ds004215-sub-ON01016", "01", "21")],
    "ds004856": [
        ("ds004856-sub-1003", "wave1", "42"),  # at the second visit the person is 46, at the third nobody says
        ("ds004856-sub-1015", "wave1", "33"),
        ("ds004856-sub-1015", "wave3", "41"),
    ],
}
SAID = {
    "ds000221": "2 of 4 scans left out (1 of 45 years or more, 1 of unknown age)",
    "ds003592": "1 of 2 scans left out (1 of 45 years or more)",
    "ds004215": "1 of 2 scans left out (1 of 45 years or more)",
    "ds004856": "3 of 6 scans left out (1 of 45 years or more, 2 of unknown age)",
}


@pytest.mark.parametrize("accession", KEPT)
def test_healthy_people_below_the_limit_are_learned_from(accession, tmp_path, put, small):
    folder = openneuro(tmp_path, put, small, accession)
    healthy = dataset("openneuro", folder)
    found = healthy.scans()
    assert [(case.subject, case.session, case.extra["age"]) for case in found] == KEPT[accession]
    assert all(case.site == accession and case.t1 is not None and case.truth is None for case in found)
    assert healthy.several()[-1] == f"openneuro, healthy people: {SAID[accession]}."
    assert len(dataset("openneuro", folder, max_age=100.0).scans()) > len(found)
    with pytest.raises(InputError, match=r"nobody drew lesions.*flairline fit METHOD --dataset openneuro="):
        healthy.cases()


def test_of_two_flairs_the_finer_one_is_taken_and_said(tmp_path, put, small):
    healthy = dataset("openneuro", openneuro(tmp_path, put, small, "ds000221"))
    assert healthy.scans()[0].flair.name == "sub-010001_ses-01_acq-highres_FLAIR.nii.gz"
    assert any("flair comes twice" in line and "acq-lowres" in line for line in healthy.several())


def test_a_folders_name_tells_the_data_set_where_nothing_else_does(tmp_path, put, small):
    folder = openneuro(tmp_path, put, small, "ds004215")
    (folder / "dataset_description.json").unlink()
    with pytest.raises(InputError, match=r"Wanted one of ds000221, .* found none of these names.*bids=DIR"):
        dataset("openneuro", folder).scans()
    named = folder.rename(tmp_path / "ds004215-download")
    assert dataset("openneuro", named).scans()[0].site == "ds004215"


def test_a_table_of_participants_that_is_missing_is_said(tmp_path, put, small):
    folder = openneuro(tmp_path, put, small, "ds003592")
    (folder / "participants.tsv").unlink()
    with pytest.raises(InputError, match=r"2 of 2 scans left out \(2 of unknown age\)\. Give .* participants\.tsv"):
        dataset("openneuro", folder).scans()


def test_check_says_to_learn_from_them(tmp_path, put, small, flairline):
    ran = flairline("datasets", "check", "openneuro", openneuro(tmp_path, put, small, "ds004215"))
    assert ran.code == 0 and "2 scans can be used" in ran.out and "Next: All is there: flairline fit METHOD" in ran.out
