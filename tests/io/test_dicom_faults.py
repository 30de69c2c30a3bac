"""DICOM as it comes: each fault is read, or refused with its reason, and the voxels stay in their places."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from flairline.errors import InputError
from flairline.io.dicom import choose_study, convert_study
from flairline.io.nifti import read_volume
from flairline.types import Space, Volume

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("dcm2niix")

from dicom_writer import FLAIR, SHAPE, T1, image, write_enhanced, write_series

NAMED = {**FLAIR, "SeriesDescription": "ax flair"}
SAMPLES = {"philips_enhanced": 301, "siemens_multiframe": 5, "jpeg2000": 4, "jpeg_lossless": 4}


def raw(keyword: str, value: bytes) -> Callable[[object, int], None]:
    """Puts bytes into an attribute as a file would have them, whatever pydicom thinks of them."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    tag = Tag(tag_for_keyword(keyword))
    element = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    return lambda slice_, _: slice_._dict.__setitem__(tag, element)


def put(keyword: str, value: object, *indices: int) -> Callable[[object, int], None]:
    """Sets an attribute, of all slices or of those named."""
    return lambda slice_, index: setattr(slice_, keyword, value) if not indices or index in indices else None


def missing(keyword: str) -> Callable[[object, int], None]:
    return lambda slice_, _: delattr(slice_, keyword)


def study_of(folder: Path, change=None, tags=FLAIR) -> Path:
    """A folder with a FLAIR, changed, and a sound T1."""
    write_series(folder / "study", image(), 4, tags, change=change)
    write_series(folder / "study", image(), 2, T1)
    return folder / "study"


def is_whole(study, work: Path) -> bool:
    """Whether the converted FLAIR has every voxel in its place."""
    found = read_volume(convert_study(study, work).flair)
    return np.array_equal(found.array, image().array) and found.space.same_grid(image().space)


def said(study, words: str) -> bool:
    return any(words in line for line in study.reasons)


@pytest.mark.parametrize(
    "change",
    [
        raw("RepetitionTime", b"9000,0"),
        raw("SeriesNumber", b"4A"),
        raw("EchoTime", b"120\\130 "),
        raw("EchoTime", b"nan "),
        raw("ImageType", b""),
        raw("SeriesDescription", b"flair \xff\xfe"),
        raw("SpecificCharacterSet", b"NONSENSE"),
        raw("ContrastBolusAgent", b"a\\b "),
        raw("Modality", b""),
        missing("Modality"),
        missing("ImageType"),
        missing("SeriesInstanceUID"),
        missing("StudyInstanceUID"),
        missing("SOPInstanceUID"),
        missing("SliceThickness"),
        missing("InstanceNumber"),
        missing("PatientID"),
    ],
)
def test_an_attribute_that_is_missing_or_unreadable_does_not_stop_a_flair(change, tmp_path):
    study = choose_study(study_of(tmp_path, change, NAMED))
    assert "flair" in study.flair.description
    assert is_whole(study, tmp_path / "work")


def test_a_number_that_cannot_be_read_is_unsaid(tmp_path):
    study = choose_study(study_of(tmp_path, raw("RepetitionTime", b"9000,0")))
    assert np.isnan(study.flair.repetition_time_ms) and study.flair.echo_time_ms == 120
    assert "TR" not in study.flair.describe()


@pytest.mark.parametrize(
    "change",
    [
        raw("ImagePositionPatient", b""),
        raw("ImagePositionPatient", b"1\\2 "),
        raw("ImageOrientationPatient", b"1\\0\\0\\1\\0\\0 "),
        missing("ImageOrientationPatient"),
        missing("PixelSpacing"),
        missing("Rows"),
        raw("SeriesNumber", b"4A"),
        raw("EchoTime", b"3\\4 "),
    ],
)
def test_a_broken_file_in_another_series_does_not_kill_a_sound_flair(change, tmp_path):
    write_series(tmp_path / "study", image(), 4, FLAIR)
    write_series(tmp_path / "study", image(), 7, {**T1, "SeriesDescription": "broken"}, change=change)
    study = choose_study(tmp_path / "study")
    assert study.flair.number == 4 and is_whole(study, tmp_path / "work")


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows"])
def test_what_cannot_be_placed_is_no_slice_and_is_said(keyword, tmp_path):
    folder = study_of(tmp_path, missing(keyword))
    with pytest.raises(InputError, match=r"found none among: series 2 .* Left out, .* series 4 'ax fl' \(14 files\)"):
        choose_study(folder)


def test_a_t1_that_cannot_be_used_leaves_the_flair(tmp_path):
    write_series(tmp_path / "study", image(), 4, FLAIR)
    write_series(tmp_path / "study", image(), 2, T1, skip=(6,))
    study = choose_study(tmp_path / "study")
    assert study.t1 is None and said(study, "1 slice(s) missing between 02-005.dcm and 02-007.dcm")
    with pytest.raises(InputError, match="missing"):
        choose_study(tmp_path / "study", t1_series=2)


def test_a_diffusion_map_with_flair_in_its_name_is_no_flair(tmp_path):
    made = {**FLAIR, "SeriesDescription": "FLAIR DWI_ADC"}
    folder = study_of(tmp_path, put("ImageType", ["DERIVED", "PRIMARY", "M"]), made)
    with pytest.raises(InputError, match=r"Wanted a FLAIR series .* found none"):
        choose_study(folder)
    write_series(folder, image(), 9, NAMED)
    assert choose_study(folder).flair.number == 9


def test_files_that_are_there_twice_are_used_once_and_said(tmp_path):
    folder = study_of(tmp_path)
    shutil.copytree(folder, folder / "again")
    study = choose_study(folder)
    assert len(study.flair.frames) == 14 and is_whole(study, tmp_path / "work")
    assert said(study, "FLAIR, series 4: 14 of its slices are there twice and were used once.")


@pytest.mark.parametrize("new_series", [True, False])
def test_a_study_exported_twice_under_new_names_is_used_once_and_said(new_series, tmp_path):
    from pydicom.uid import generate_uid

    folder = study_of(tmp_path)
    for file in list(folder.glob("*.dcm")):
        again = pydicom.dcmread(file)
        again.SOPInstanceUID = generate_uid(entropy_srcs=[again.SOPInstanceUID, "again"])
        again.file_meta.MediaStorageSOPInstanceUID = again.SOPInstanceUID
        if new_series:
            again.StudyInstanceUID = "1.2.7"
            again.SeriesInstanceUID = generate_uid(entropy_srcs=[again.SeriesInstanceUID, "again"])
        again.save_as(folder / f"again-{file.name}")
    study = choose_study(folder)
    assert len(study.flair.frames) == 14 and is_whole(study, tmp_path / "work")
    assert said(study, "The same images are there 2 times" if new_series else "14 of its slices are there twice")


@pytest.mark.parametrize("implicit", [True, False])
def test_files_without_a_preamble_are_used_and_said(implicit, tmp_path):
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    folder = study_of(tmp_path)
    for file in folder.glob("04*"):
        bare = DicomBytesIO()
        bare.is_little_endian, bare.is_implicit_VR = True, True
        write_dataset(bare, pydicom.dcmread(file))
        file.write_bytes(bare.getvalue() if implicit else file.read_bytes()[132:])
    study = choose_study(folder)
    assert is_whole(study, tmp_path / "work") and said(study, "its files lack the preamble of DICOM")


@pytest.mark.parametrize(
    "change",
    [
        put("ImageOrientationPatient", [1, 0, 0, 0, 0, -1], 0),
        put("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"], 0),
        put("ImageOrientationPatient", [0, 1, 0, 0, 0, -1], 0),
    ],
)
def test_a_foreign_slice_in_the_series_is_left_out_and_said(change, tmp_path):
    """The first slice is the foreign one: what remains are the other thirteen, in their places."""
    study = choose_study(study_of(tmp_path, change))
    found = read_volume(convert_study(study, tmp_path / "work").flair)
    np.testing.assert_array_equal(found.array, image().array[:, :, 1:])
    wanted = image().space.vox_to_ras.copy()
    wanted[:3, 3] = (wanted @ [0, 0, 1, 1])[:3]
    np.testing.assert_allclose(found.space.vox_to_ras, wanted, atol=1e-3)
    assert said(study, "1 slice(s) of another orientation, size or kind were left out (04-000.dcm)")


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("EchoTime", 121.0, "its EchoTime varies between slices (120, 121); 120 was used"),
        ("SeriesDescription", "other", "its SeriesDescription varies between slices (ax fl, other); ax fl was used"),
    ],
)
def test_what_varies_within_a_series_is_said(keyword, value, words, tmp_path):
    study = choose_study(study_of(tmp_path, put(keyword, value, 3, 4)))
    assert is_whole(study, tmp_path / "work") and said(study, words)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientID", "secret 4711"), ("PatientName", "DOE^JANE^^"), ("PatientBirthDate", ""), ("PatientID", "")],
)
def test_a_patient_written_in_two_ways_is_one_and_said(keyword, value, tmp_path):
    study = choose_study(study_of(tmp_path, put(keyword, value, 3, 4)))
    assert is_whole(study, tmp_path / "work") and said(study, "The patient is written in 2 ways")
    assert not any(secret in line for line in study.reasons for secret in ("4711", "Doe", "DOE", "1970"))


def test_a_flair_with_too_few_slices_is_named_as_such(tmp_path):
    folder = study_of(tmp_path)
    for file in sorted(folder.glob("04*"))[:8]:
        file.unlink()
    with pytest.raises(InputError, match=r"Series 4 is like a FLAIR by .*, but has 6 slices; wanted at least 10"):
        choose_study(folder)


def test_what_dcm2niix_refuses_is_passed_on_with_the_name_of_the_file(tmp_path):
    folder = study_of(tmp_path)
    file = sorted(folder.glob("04*"))[3]
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"File not large enough to store image data: 04-003\.dcm"):
        convert_study(choose_study(folder), tmp_path / "work")


def test_an_unknown_compression_is_passed_on(tmp_path):
    folder = study_of(tmp_path)
    for file in folder.glob("04*"):
        file.write_bytes(file.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.6\0"))
    with pytest.raises(InputError, match=r"Unsupported transfer syntax '1.2.840.10008.1.2.6'"):
        convert_study(choose_study(folder), tmp_path / "work")


@pytest.mark.parametrize("degrees", [12.0, -8.0])
def test_slices_that_drift_sideways_are_refused_with_the_angle(degrees, tmp_path):
    def drift(slice_, index: int) -> None:
        x, y, z = slice_.ImagePositionPatient
        slice_.ImagePositionPatient = [float(x) + index * 4 * np.tan(np.radians(degrees)), y, z]

    with pytest.raises(InputError, match=rf"drift sideways by {abs(degrees):.1f} degrees"):
        choose_study(study_of(tmp_path, drift))


def test_a_single_slice_that_lies_aside_is_refused_with_its_name(tmp_path):
    def aside(slice_, index: int) -> None:
        x, y, z = slice_.ImagePositionPatient
        slice_.ImagePositionPatient = [float(x) + 18 * (index == 6), y, z]

    with pytest.raises(InputError, match=r"04-006\.dcm lies 18\.0 mm aside"):
        choose_study(study_of(tmp_path, aside))


def test_a_tilted_gantry_is_refused_with_its_angle(real_data):
    with pytest.raises(InputError, match=r"drift sideways by 14\.0 degrees"):
        choose_study(real_data / "dicom" / "gantry_tilt", flair_series=4)


@pytest.mark.parametrize("turned", [0.0, 15.0])
@pytest.mark.parametrize("shared", [True, False])
def test_a_multiframe_file_becomes_nifti_with_every_voxel_in_its_place(turned, shared, tmp_path):
    original = image(turned)
    write_enhanced(tmp_path / "study", original, 4, FLAIR, shared=shared)
    write_enhanced(tmp_path / "study", original, 2, T1, shared=shared)
    study = choose_study(tmp_path / "study")
    assert (study.flair.number, study.t1.number) == (4, 2)
    assert "long inversion time" in study.reasons[0] and "TE 120 ms, TR 9000 ms, TI 2500 ms" in study.reasons[0]
    found = read_volume(convert_study(study, tmp_path / "work").flair)
    np.testing.assert_array_equal(found.array, original.array)
    np.testing.assert_allclose(found.space.vox_to_ras, original.space.vox_to_ras, atol=1e-3)


def test_a_multiframe_file_that_says_its_contrast_is_a_flair(tmp_path):
    def contrast(whole) -> None:
        kind = pydicom.Dataset()
        kind.FrameType, kind.AcquisitionContrast = ["ORIGINAL", "PRIMARY", "M", "NONE"], "FLUID_ATTENUATED"
        whole.SharedFunctionalGroupsSequence[0].MRImageFrameTypeSequence = [kind]
        del whole.SharedFunctionalGroupsSequence[0].MRModifierSequence

    write_enhanced(tmp_path / "study", image(), 4, FLAIR, change=contrast)
    assert "by the contrast that it says of itself" in choose_study(tmp_path / "study").reasons[0]


def of_complex(compress: bool) -> Callable[[object], None]:
    """Puts the phase of every frame behind the magnitudes."""

    def doubled(whole) -> None:
        frames = []
        for component in ("MAGNITUDE", "PHASE"):
            for frame in whole.PerFrameFunctionalGroupsSequence:
                frames.append(copy.deepcopy(frame))
                kind = pydicom.Dataset()
                kind.FrameType, kind.ComplexImageComponent = ["ORIGINAL", "PRIMARY", component[0], "NONE"], component
                frames[-1].MRImageFrameTypeSequence = [kind]
        phases = np.random.default_rng(1).integers(0, 4096, len(whole.PixelData) // 2).astype(np.uint16)
        whole.PerFrameFunctionalGroupsSequence, whole.NumberOfFrames = frames, len(frames)
        whole.PixelData += phases.tobytes()
        if compress:
            whole.compress(pydicom.uid.RLELossless)

    return doubled


@pytest.mark.parametrize("compress", [False, True])
def test_the_phase_beside_the_magnitude_is_left_out(compress, tmp_path):
    write_enhanced(tmp_path / "study", image(), 4, FLAIR, change=of_complex(compress))
    study = choose_study(tmp_path / "study")
    assert said(study, "14 slice(s) of another orientation, size or kind were left out")
    assert is_whole(study, tmp_path / "work")


def test_the_phase_in_files_of_the_same_series_is_left_out(tmp_path):
    def phase(slice_, index: int) -> None:
        slice_.ImageType = ["ORIGINAL", "PRIMARY", "P"]
        slice_.file_meta.MediaStorageSOPInstanceUID = slice_.SOPInstanceUID = f"1.2.3.77.{index}"
        slice_.PixelData = bytes(reversed(slice_.PixelData))

    write_series(tmp_path / "study", image(), 4, FLAIR, change=phase)
    write_series(tmp_path / "study" / "magnitude", image(), 4, FLAIR)
    study = choose_study(tmp_path / "study")
    assert said(study, "14 slice(s) of another") and is_whole(study, tmp_path / "work")


@pytest.mark.parametrize("backwards", [False, True])
def test_several_multiframe_files_of_one_series_are_put_together(backwards, tmp_path):
    whole = image(turned_degrees=10)
    for number, (low, high) in enumerate([(0, 4), (4, 9), (9, 14)]):
        vox_to_ras = whole.space.vox_to_ras.copy()
        vox_to_ras[:3, 3] += vox_to_ras[:3, 2] * low
        part = Volume(whole.array[..., low:high], Space((*SHAPE[:2], high - low), vox_to_ras))
        path = write_enhanced(tmp_path / "study", part, 4, FLAIR, change=partial(known_as, uid=f"1.2.3.{number}"))
        path.rename(path.with_name(f"{9 - number if backwards else number}.dcm"))
    study = choose_study(tmp_path / "study")
    found = read_volume(convert_study(study, tmp_path / "work").flair)
    assert np.array_equal(found.array, whole.array) and found.space.same_grid(whole.space)


def known_as(file, uid: str) -> None:
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = uid


def test_what_another_version_or_choice_of_frames_converted_is_not_taken(tmp_path, monkeypatch):
    write_enhanced(tmp_path / "study", image(), 4, FLAIR, change=of_complex(False))
    study = choose_study(tmp_path / "study")
    first = convert_study(study, tmp_path / "work").flair
    assert convert_study(study, tmp_path / "work").flair == first
    fewer = replace(study.flair, frames=study.flair.frames[:12], positions_mm=study.flair.positions_mm[:12])
    other = convert_study(replace(study, flair=fewer), tmp_path / "work").flair
    monkeypatch.setattr("flairline.io.dicom.convert.VERSION", 99)
    newer = convert_study(study, tmp_path / "work").flair
    assert len({first, other, newer}) == 3 and read_volume(other).array.shape == (24, 28, 12)


def test_frames_without_a_place_are_no_slices(tmp_path):
    def emptied(whole) -> None:
        for frame in whole.PerFrameFunctionalGroupsSequence:
            del frame.PlanePositionSequence

    write_enhanced(tmp_path / "study", image(), 4, FLAIR, change=emptied)
    with pytest.raises(InputError, match=r"has none\. Left out, .* series 4"):
        choose_study(tmp_path / "study")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_of_vendors_equal_their_ground_truth(name, real_data, tmp_path):
    folder = real_data / "dicom" / name
    converted = convert_study(choose_study(folder, flair_series=SAMPLES[name]), tmp_path)
    found, truth = read_volume(converted.flair), read_volume(folder / "ground_truth.nii.gz")
    np.testing.assert_allclose(found.space.vox_to_ras, truth.space.vox_to_ras, atol=1e-3)
    np.testing.assert_allclose(found.array, truth.array, rtol=1e-6)


def test_damaged_files_are_left_out_and_said(tmp_path):
    folder = study_of(tmp_path)
    whole = sorted(folder.glob("02*"))[0].read_bytes()
    (folder / "cut.dcm").write_bytes(whole[:140])
    (folder / "noise.dcm").write_bytes(whole[:132] + np.random.default_rng(0).bytes(400))
    (folder / "notes.txt").write_bytes(b"\x08\x00 no scan")
    study = choose_study(folder)
    assert is_whole(study, tmp_path / "work") and said(study, "Left out")
