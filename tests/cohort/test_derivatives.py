"""What the derivatives are called, and what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from flairline.cohort import derivatives
from flairline.cohort.layout import Visit
from flairline.imaging.points import PointMap
from flairline.segmentation import Settings, find_in
from flairline.summary import Summary
from flairline.types import Lesion

VISIT = Visit("01", "2", {"flair": "sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz"})
START = "sub-01/ses-2/anat/sub-01_ses-2"


def test_a_calibrated_score_is_a_probability_map():
    assert derivatives.score_path(VISIT, True) == f"{START}_space-orig_label-lesion_probseg.nii.gz"
    assert derivatives.score_path(VISIT, False) == f"{START}_space-orig_desc-anomaly_score.nii.gz"


def test_both_transforms_are_written_where_a_scan_was_registered(tmp_path, phantoms):
    import SimpleITK as sitk

    from flairline.preprocess.read import read_scan

    case = phantoms(4, patients=True)[0]
    prepared = read_scan(case)
    found = replace(find_in(prepared.scan, Settings("histeq")), prepared=prepared)
    paths = derivatives.write_found(tmp_path, VISIT, found, calibrated=True)
    assert not any(path.endswith("_xfm.txt") for path in paths)
    assert sorted(paths) == sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    )

    to_native = np.diag([1.1, 1, 1, 1.0])
    atlas = SimpleNamespace(name="mni")
    registered = replace(prepared, atlas=atlas, atlas_to_native=PointMap("atlas", "native", to_native))
    paths = derivatives._write_transforms(tmp_path, VISIT, registered)
    assert paths == [f"{START}_from-orig_to-mni_mode-image_xfm.txt", f"{START}_from-mni_to-orig_mode-image_xfm.txt"]
    there, back = (sitk.ReadTransform(str(tmp_path / path)) for path in paths)
    assert back.TransformPoint(there.TransformPoint((1.0, 2.0, 3.0))) == pytest.approx((1, 2, 3))


def test_a_lesion_is_a_line():
    lesion = Lesion(1.5, 12, (1.0, 2.0, 3.0), "", None, None, "white matter", "frontal")
    ((number, *_, chance),) = lines = derivatives.lesion_lines([lesion])
    assert number == 1 and chance is None and len(lines[0]) == len(derivatives.LESION_COLUMNS)
    assert lines[0][3:5] == [None, "frontal white matter"]
    assert derivatives.region_of(Lesion(1.5)) == ""


def test_what_differs_from_run_to_run_is_left_out():
    summary = Summary.from_json({"seconds": 3.0, "qc": {"figures": {"a": 1.0}, "atlas": "mni", "seconds": {"b": 1.0}}})
    assert derivatives.without_seconds(summary).to_json() == {"qc": {"figures": {"a": 1.0}}}


def test_the_description_names_the_source_and_the_container(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAIRLINE_CONTAINER", "flairline:1")
    derivatives.write_description(tmp_path, tmp_path / "raw")
    said_of_it = json.loads((tmp_path / "dataset_description.json").read_text())
    assert said_of_it["DatasetType"] == "derivative"
    assert said_of_it["GeneratedBy"][0]["Container"]["Tag"] == "flairline:1"
    assert said_of_it["SourceDatasets"] == [{"URL": (tmp_path / "raw").as_uri()}]
    ignored = (tmp_path / ".bidsignore").read_text().splitlines()
    assert all(why.startswith("# ") for why in ignored[::2]) and ignored[1::2] == list(derivatives.IGNORED)
