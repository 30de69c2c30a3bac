from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flairline.errors import InputError
from flairline.io.dicom import choose_study, convert_study, write_segmentation
from flairline.io.nifti import read_volume
from flairline.types import Mask

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("dcm2niix")

from dicom_writer import FLAIR, SECRETS, SHAPE, T1, image, write_series


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


def test_a_multiframe_image_without_places_is_named_as_left_out(folder):
    assert not any("Left out" in line for line in choose_study(folder).reasons)
    first = pydicom.dcmread(sorted(folder.glob("*.dcm"))[0])
    del first.ImagePositionPatient
    first.NumberOfFrames, first.SeriesNumber, first.SeriesDescription = 12, 12, "3D FLAIR SENSE"
    first.SeriesInstanceUID = first.SeriesInstanceUID + ".12"
    first.save_as(folder / "enhanced-12.dcm")
    study = choose_study(folder)
    assert study.flair.number == 4
    assert sum("Left out" in line and "series 12 '3D FLAIR SENSE'" in line for line in study.reasons) == 1


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
        "from flairline.io.dicom import convert\n"
        "convert.write_volume = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
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
    space = study.flair.space
    mask = Mask(np.zeros(space.shape, bool), space)
    mask.array[3, 4, 5] = True
    for name in ("one.dcm", "two.dcm"):
        write_segmentation(tmp_path / name, mask, study.flair, "histeq")
    one, two = (pydicom.dcmread(tmp_path / name) for name in ("one.dcm", "two.dcm"))
    assert one.SOPInstanceUID == two.SOPInstanceUID
