from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flairline.errors import InputError
from flairline.io.dicom import choose_study, convert_study, source_space, write_segmentation
from flairline.io.nifti import read_volume
from flairline.types import Mask, Space, Volume

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("dcm2niix")

SHAPE = (24, 28, 14)
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SECRETS = {"PatientName": "Doe^Jane", "PatientID": "SECRET-4711", "PatientBirthDate": "19701231"}
FLAIR = {"EchoTime": 120.0, "RepetitionTime": 9000.0, "InversionTime": 2500.0, "SeriesDescription": "ax fl"}
T1 = {"EchoTime": 3.0, "RepetitionTime": 600.0, "SeriesDescription": "ax se"}


def image(turned_degrees: float = 0.0) -> Volume:
    """A box of unequal sides with a bright spot on the right, in front, high up."""
    angle = np.radians(turned_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    vox_to_ras = np.eye(4)
    vox_to_ras[:3, :3] = turn @ np.diag([2.0, 2.0, 4.0])
    vox_to_ras[:3, 3] = -vox_to_ras[:3, :3] @ ((np.array(SHAPE) - 1) / 2) + (3.0, -4.0, 5.0)
    array = np.random.default_rng(0).integers(20, 200, SHAPE).astype(np.float32)
    array[17:20, 19:23, 9:11] = 900
    return Volume(array, Space(SHAPE, vox_to_ras))


def write_series(
    folder: Path, volume: Volume, number: int, tags: dict, *, study: str = "1.2.3", skip=(), **patient
) -> str:
    """Write a volume as classic MR slices, as a scanner does: columns grow to the left, rows to the back."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    flip[:2, 3] = np.array(SHAPE[:2]) - 1
    vox_to_lps = LPS_FROM_RAS @ volume.space.vox_to_ras @ flip
    array = volume.array[::-1, ::-1].astype(np.uint16)
    sides = np.linalg.norm(vox_to_lps[:3, :3], axis=0)
    uid = generate_uid(entropy_srcs=[study, str(number)])
    for index in range(SHAPE[2]):
        if index in skip:
            continue
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[uid, str(index)])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_ = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        slice_.SOPClassUID, slice_.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        for key, value in {**SECRETS, **patient, **tags}.items():
            setattr(slice_, key, value)
        slice_.PatientSex, slice_.AccessionNumber, slice_.StudyID, slice_.ReferringPhysicianName = "F", "", "1", ""
        slice_.StudyDate, slice_.StudyTime, slice_.StudyInstanceUID, slice_.SeriesInstanceUID = (
            "20200101",
            "120000",
            study,
            uid,
        )
        slice_.FrameOfReferenceUID, slice_.PositionReferenceIndicator = study + ".9", ""
        slice_.Modality, slice_.SeriesNumber, slice_.InstanceNumber = "MR", number, index + 1
        slice_.ImageType, slice_.Manufacturer = ["ORIGINAL", "PRIMARY", "M"], "Nobody"
        slice_.ScanningSequence, slice_.SequenceVariant, slice_.MRAcquisitionType = "SE", "NONE", "2D"
        slice_.ImageOrientationPatient = [*(vox_to_lps[:3, 0] / sides[0]), *(vox_to_lps[:3, 1] / sides[1])]
        slice_.ImagePositionPatient = list((vox_to_lps @ [0, 0, index, 1])[:3])
        slice_.PixelSpacing, slice_.SliceThickness = [sides[1], sides[0]], sides[2]
        slice_.Rows, slice_.Columns = SHAPE[1], SHAPE[0]
        slice_.SamplesPerPixel, slice_.PhotometricInterpretation, slice_.PixelRepresentation = 1, "MONOCHROME2", 0
        slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit = 16, 16, 15
        slice_.PixelData = np.ascontiguousarray(array[:, :, index].T).tobytes()
        slice_.save_as(folder / f"{number:02d}-{index:03d}.dcm", enforce_file_format=True)
    return uid


@pytest.fixture
def folder(tmp_path) -> Path:
    write_series(tmp_path / "study", image(), 4, FLAIR)
    write_series(tmp_path / "study", image(), 2, T1)
    return tmp_path / "study"


@pytest.mark.parametrize("turned", [0.0, 15.0])
def test_a_folder_becomes_nifti_with_every_voxel_in_its_place(turned, tmp_path):
    original = image(turned)
    write_series(tmp_path / "study", original, 4, FLAIR)
    write_series(tmp_path / "study", original, 2, T1)
    converted = convert_study(choose_study(tmp_path / "study"), tmp_path / "work")
    found = read_volume(converted.flair)
    np.testing.assert_array_equal(found.array, original.array)
    np.testing.assert_allclose(found.space.vox_to_ras, original.space.vox_to_ras, atol=1e-3)
    assert converted.t1 is not None


def test_series_are_chosen_by_parameters_and_the_reasons_are_told(folder):
    study = choose_study(folder)
    assert (study.flair.number, study.t1.number) == (4, 2)
    assert "long inversion time" in study.reasons[0] and "TI 2500 ms" in study.reasons[0]
    assert "short echo time" in study.reasons[1]


def test_a_t1_flair_is_no_flair(folder):
    t1_flair = {"EchoTime": 9.0, "RepetitionTime": 2000.0, "InversionTime": 800.0, "SeriesDescription": "ax t1 flair"}
    write_series(folder, image(), 7, t1_flair)
    assert choose_study(folder).flair.number == 4


def test_a_t1_without_contrast_is_preferred(folder):
    write_series(folder, image(), 1, {**T1, "ContrastBolusAgent": "Gd"})
    assert choose_study(folder).t1.number == 2


def test_the_choice_can_be_overruled(folder):
    write_series(folder, image(), 9, FLAIR)
    assert choose_study(folder, flair_series=9).flair.number == 9
    with pytest.raises(InputError, match="number 77, found 0"):
        choose_study(folder, flair_series=77)


def test_two_flairs_are_refused_and_named(folder):
    write_series(folder, image(), 9, FLAIR)
    with pytest.raises(InputError, match=r"found 2: series 4 .*series 9 .*--flair-series"):
        choose_study(folder)


def test_no_flair_is_refused_with_what_there_is(tmp_path):
    write_series(tmp_path / "study", image(), 2, T1)
    with pytest.raises(InputError, match=r"Wanted a FLAIR series .* series 2"):
        choose_study(tmp_path / "study")


def multiframe(folder: Path, number: int, description: str) -> None:
    """An enhanced MR image: many frames in one file, and no place of its own in the header."""
    first = pydicom.dcmread(sorted(folder.glob("*.dcm"))[0])
    del first.ImagePositionPatient
    first.NumberOfFrames, first.SeriesNumber, first.SeriesDescription = 12, number, description
    first.SeriesInstanceUID = first.SeriesInstanceUID + "." + str(number)
    first.save_as(folder / f"enhanced-{number}.dcm")


def test_multiframe_dicom_beside_slices_is_named_as_left_out(folder):
    assert not any("Left out" in line for line in choose_study(folder).reasons)
    multiframe(folder, 12, "3D FLAIR SENSE")
    study = choose_study(folder)
    assert study.flair.number == 4
    assert sum("Left out" in line and "series 12 '3D FLAIR SENSE'" in line for line in study.reasons) == 1


def test_a_flair_in_multiframe_dicom_alone_is_named_in_the_refusal(tmp_path):
    write_series(tmp_path / "study", image(), 2, T1)
    multiframe(tmp_path / "study", 12, "3D FLAIR SENSE")
    with pytest.raises(InputError, match=r"found none among: series 2 .*multi-frame.* series 12 .* dcm2niix"):
        choose_study(tmp_path / "study")


def test_a_missing_slice_is_refused_with_its_place(tmp_path):
    write_series(tmp_path / "study", image(), 4, FLAIR, skip=(6,))
    with pytest.raises(InputError, match=r"1 slice\(s\) missing between 04-005.dcm and 04-007.dcm"):
        choose_study(tmp_path / "study")


def test_mixed_patients_are_refused_without_their_names(folder):
    write_series(folder, image(), 8, T1, PatientID="OTHER", PatientName="Roe^Richard")
    with pytest.raises(InputError, match="2 patients") as caught:
        choose_study(folder)
    assert not any(secret in str(caught.value) for secret in ("Doe", "Roe", "4711", "OTHER"))


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no scan")
    with pytest.raises(InputError, match="DICOM"):
        choose_study(tmp_path)


def test_nothing_of_the_patient_reaches_the_converted_files(folder, tmp_path):
    import gzip

    converted = convert_study(choose_study(folder), tmp_path / "work")
    for path in (tmp_path / "work").rglob("*"):
        if not path.is_file():
            continue
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for secret in (b"Doe", b"Jane", b"4711", b"1970"):
            assert secret not in content and secret.decode() not in str(path)
    assert converted.study.name.startswith("study-")


def test_killed_while_converting_and_run_again(folder, tmp_path):
    """dcm2niix is done, the result not yet written."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom flairline.io import dicom\n"
        "dicom.write_volume = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "dicom.convert_study(dicom.choose_study(Path(sys.argv[1])), Path(sys.argv[2]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", code, folder, tmp_path / "work"], env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert not list((tmp_path / "work").rglob("*.nii*"))
    study = choose_study(folder)
    again, clean = (convert_study(study, tmp_path / name) for name in ("work", "clean"))
    assert again.flair.read_bytes() == clean.flair.read_bytes()


@pytest.mark.parametrize("turned", [0.0, 15.0])
def test_a_segmentation_goes_round_and_lies_on_its_side(turned, tmp_path):
    pytest.importorskip("highdicom")
    original = image(turned)
    write_series(tmp_path / "study", original, 4, FLAIR)
    study = choose_study(tmp_path / "study")
    converted = convert_study(study, tmp_path / "work")
    flair = read_volume(converted.flair)
    mask = Mask(flair.array > 500, flair.space)
    write_segmentation(tmp_path / "mask.dcm", mask, study.flair, "histeq")

    written = pydicom.dcmread(tmp_path / "mask.dcm")
    assert written.Modality == "SEG"
    assert str(written.PatientID) == SECRETS["PatientID"]
    referenced = {str(one.SeriesInstanceUID) for one in written.ReferencedSeriesSequence}
    assert referenced == {study.flair.uid}
    points = []
    for frame, shared in zip(written.pixel_array, written.PerFrameFunctionalGroupsSequence, strict=True):
        place = np.array(shared.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        common = written.SharedFunctionalGroupsSequence[0]
        turn = np.array(common.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
        rows_mm, columns_mm = (float(value) for value in common.PixelMeasuresSequence[0].PixelSpacing)
        rows, columns = np.nonzero(frame)
        points += list(place + np.outer(columns, turn[0]) * columns_mm + np.outer(rows, turn[1]) * rows_mm)
    assert len(points) == np.count_nonzero(mask.array) == 3 * 4 * 2
    centre_lps = np.mean(points, axis=0)
    middle = np.argwhere(mask.array).mean(axis=0)
    wanted = (flair.space.vox_to_ras @ [*middle, 1.0])[:3]
    np.testing.assert_allclose(centre_lps * [-1, -1, 1], wanted, atol=1e-3)
    centre_of_scan = (flair.space.vox_to_ras @ [*((np.array(SHAPE) - 1) / 2), 1.0])[:3]
    if not turned:
        assert -centre_lps[0] > centre_of_scan[0]  # right of the middle


def test_the_same_mask_gives_the_same_name_in_dicom(folder, tmp_path):
    pytest.importorskip("highdicom")
    study = choose_study(folder)
    space = source_space([pydicom.dcmread(file) for file in study.flair.files])
    mask = Mask(np.zeros(space.shape, bool), space)
    mask.array[3, 4, 5] = True
    for name in ("one.dcm", "two.dcm"):
        write_segmentation(tmp_path / name, mask, study.flair, "histeq")
    one, two = (pydicom.dcmread(tmp_path / name) for name in ("one.dcm", "two.dcm"))
    assert one.SOPInstanceUID == two.SOPInstanceUID
