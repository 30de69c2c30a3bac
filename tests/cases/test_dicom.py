"""A DICOM folder becomes a case."""

from types import SimpleNamespace

from flairline.cases import dicom


def test_a_case_is_called_by_its_study_and_knows_what_converted_it(tmp_path, monkeypatch):
    study = SimpleNamespace(name="patient-7", reasons=[])
    as_converted = SimpleNamespace(name="patient-7", reasons=["said while converting"])
    files = SimpleNamespace(flair=tmp_path / "flair.nii.gz", t1=None, study=as_converted)
    asked = []
    monkeypatch.setattr(dicom.dicom, "choose_study", lambda *arguments: asked.append(arguments) or study)
    monkeypatch.setattr(dicom.dicom, "convert_study", lambda *arguments: asked.append(arguments) or files)
    case, chosen = dicom.case_from_dicom(tmp_path / "in", tmp_path / "work", 3, None)
    assert chosen is as_converted and asked == [(tmp_path / "in", 3, None), (study, tmp_path / "work")]
    assert (case.subject, case.flair, case.t1) == ("patient-7", files.flair, None)
    assert case.extra["converter"] == "dcm2niix"
