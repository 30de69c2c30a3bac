"""Results of scans that came from DICOM are written as DICOM once more, the others are not."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from flairline.cases import dicom
from flairline.summary import Summary
from flairline.types import Mask, Scan, Space, Volume


def result(subject: str) -> SimpleNamespace:
    space = Space((3, 4, 5), np.eye(4))
    mask = Mask(np.ones(space.shape, bool), space)
    scan = Scan.of(subject, Volume(np.ones(space.shape, np.float32), space), mask)
    return SimpleNamespace(scan=scan, mask=mask, summary=Summary(recipe="brightest"))


def test_only_a_subject_with_a_study_gets_a_segmentation_and_all_get_what_comes_then(tmp_path, monkeypatch):
    written, then = [], []
    monkeypatch.setattr(dicom.dicom, "write_segmentation", lambda *arguments: written.append(arguments))
    study = SimpleNamespace(flair="the series")
    after = dicom.DicomAfter({"sub-1": study}, lambda found, folder: then.append((found.scan.subject, folder)))
    results = [result("sub-1"), result("sub-2")]
    for found in results:
        after(found, tmp_path / found.scan.subject)
    assert written == [(tmp_path / "sub-1" / "mask.dcm", results[0].mask, "the series", "brightest")]
    assert then == [("sub-1", tmp_path / "sub-1"), ("sub-2", tmp_path / "sub-2")]
    dicom.DicomAfter({})(results[1], Path("nowhere"))


def test_a_case_is_called_by_its_study_and_knows_what_converted_it(tmp_path, monkeypatch):
    study = SimpleNamespace(name="patient-7", reasons=[])
    files = SimpleNamespace(study=study, flair=tmp_path / "flair.nii.gz", t1=None)
    asked = []
    monkeypatch.setattr(dicom.dicom, "choose_study", lambda *arguments: asked.append(arguments) or study)
    monkeypatch.setattr(dicom.dicom, "convert_study", lambda *arguments: asked.append(arguments) or files)
    case, chosen = dicom.case_from_dicom(tmp_path / "in", tmp_path / "work", 3, None)
    assert chosen is study and asked == [(tmp_path / "in", 3, None), (study, tmp_path / "work")]
    assert (case.subject, case.flair, case.t1) == ("patient-7", files.flair, None)
    assert case.extra["converter"] == "dcm2niix"
