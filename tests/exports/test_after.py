"""What is asked for is written, nothing else, and only what came from DICOM goes back there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from flairline.exports import after
from flairline.exports.after import Exports, Wanted, write_exports


@pytest.mark.parametrize(
    ("wanted", "files"),
    [
        (Wanted(), set()),
        (Wanted(label_map=True), {"lesions.nii.gz", "lesions.ctbl", "lesions_LUT.txt", "lesions_itksnap.txt"}),
        (Wanted(fill_t1=True), {"t1_filled.nii.gz"}),
        (Wanted(fmriprep_roi=True), {"sub-1_label-lesion_roi.nii.gz"}),
    ],
)
def test_what_is_asked_for_is_written_and_nothing_else(wanted, files, make_found, tmp_path):
    paths = write_exports(make_found(), tmp_path / "out", wanted)
    assert sorted(paths) == sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert files <= {path.name for path in paths} and bool(files) == bool(paths)
    assert Exports(wanted).writes == bool(files) and wanted.needs_t1 == (wanted.fill_t1 or wanted.fmriprep_roi)


def test_only_a_subject_with_a_study_gets_dicom_and_all_get_what_comes_then(make_found, tmp_path, monkeypatch):
    written, then = [], []
    monkeypatch.setattr(after, "write_dicom", lambda *arguments: written.append(arguments))
    found, study = make_found(), SimpleNamespace(flair="the series")
    for name in ("sub-1", "sub-2"):
        Exports(studies={name: study}, then=lambda _, folder: then.append(folder))(found, tmp_path / name)
    assert written == [(found, tmp_path / "sub-1", "the series")]
    assert then == [tmp_path / "sub-1", tmp_path / "sub-2"]
    Exports()(found, Path("nowhere"))


def test_what_another_run_left_of_another_mask_goes(make_found, tmp_path):
    everything = Wanted(label_map=True, fill_t1=True, fmriprep_roi=True)
    found = make_found("RAS", ("periventricular",) * 3)
    Exports(everything)(found, tmp_path / "out")
    for name in ("mask.dcm", "report.dcm", "notes.txt"):
        (tmp_path / "out" / name).write_text("x")
    assert sum(path.is_file() for path in (tmp_path / "out").rglob("*")) == 15
    Exports()(found, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["notes.txt"]
