"""mask.dcm from sources whose headers are not by the standard; and the whole way of a multi-frame FLAIR."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from flairline.errors import InputError
from flairline.io.dicom import check_segmentation, choose_study, convert_study, write_segmentation
from flairline.io.nifti import read_mask, read_volume
from flairline.types import Mask, Volume

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("dcm2niix")
pytest.importorskip("highdicom")

from dicom_writer import FLAIR, image, write_enhanced, write_series

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def points_mm(path: Path) -> np.ndarray:
    """The places (RAS mm) of all marked voxels of a DICOM Segmentation, by its own header alone."""
    written = pydicom.dcmread(path)
    common = written.SharedFunctionalGroupsSequence[0]
    turn = np.array(common.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    rows_mm, columns_mm = (float(value) for value in common.PixelMeasuresSequence[0].PixelSpacing)
    frames = np.atleast_3d(written.pixel_array).reshape(-1, written.Rows, written.Columns)
    points = []
    for frame, groups in zip(frames, written.PerFrameFunctionalGroupsSequence, strict=True):
        place = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        rows, columns = np.nonzero(frame)
        points += list(place + np.outer(columns, turn[0]) * columns_mm + np.outer(rows, turn[1]) * rows_mm)
    return np.array(points) * [-1, -1, 1]


def check_places(path: Path, mask: Mask) -> None:
    """Every voxel of the mask is marked, at its place, and nothing else."""
    from scipy.spatial import cKDTree

    vox_to_ras, found = mask.space.vox_to_ras, points_mm(path)
    wanted = np.argwhere(mask.array) @ vox_to_ras[:3, :3].T + vox_to_ras[:3, 3]
    assert len(found) == len(wanted)
    apart_mm, partner = cKDTree(wanted).query(found)
    assert apart_mm.max() < 2e-2 and len(set(partner.tolist())) == len(wanted)


def segmented(folder: Path) -> tuple[tuple[str, ...], pydicom.Dataset]:
    """What is said beforehand, and the Segmentation of the bright spot, its places checked."""
    study = choose_study(folder)
    notes = check_segmentation(study.flair)
    flair = read_volume(convert_study(study, folder.parent / "work").flair)
    mask = Mask(flair.array > 500, flair.space)
    assert np.count_nonzero(mask.array) == 3 * 4 * 2
    write_segmentation(folder.parent / "mask.dcm", mask, study.flair, "histeq")
    check_places(folder.parent / "mask.dcm", mask)
    return notes, pydicom.dcmread(folder.parent / "mask.dcm")


def test_a_sound_source_leaves_nothing_to_say(tmp_path):
    write_series(tmp_path / "study", image(), 4, FLAIR)
    notes, written = segmented(tmp_path / "study")
    assert notes == () and written.PatientSex == "F" and written.PatientBirthDate == "19701231"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientSex", "0000"), ("PatientBirthDate", "19701399"), ("StudyDate", "unknown"), ("StudyTime", "25:61")],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_a_value_outside_the_standard_is_left_empty_and_said(keyword, value, tmp_path):
    write_series(tmp_path / "study", image(), 4, FLAIR, change=lambda slice_, _: setattr(slice_, keyword, value))
    notes, written = segmented(tmp_path / "study")
    assert notes == (f"{keyword} of the source is outside the standard and left empty in mask.dcm",)
    assert not written.get(keyword)


@pytest.mark.parametrize("keyword", ["PatientBirthDate", "StudyDate", "StudyTime", "PatientID", "AccessionNumber"])
def test_what_an_anonymiser_deleted_is_left_empty_and_said(keyword, tmp_path):
    write_series(tmp_path / "study", image(), 4, FLAIR, change=lambda slice_, _: delattr(slice_, keyword))
    notes, written = segmented(tmp_path / "study")
    assert notes == (f"{keyword} is missing in the source and left empty in mask.dcm",)
    assert keyword in written and not written.get(keyword)


def test_a_frame_of_reference_that_is_missing_is_made_up_and_said(tmp_path):
    write_series(tmp_path / "study", image(), 4, FLAIR, change=lambda slice_, _: delattr(slice_, "FrameOfReferenceUID"))
    notes, written = segmented(tmp_path / "study")
    assert notes == ("FrameOfReferenceUID is missing in the source and made up in mask.dcm",)
    assert written.FrameOfReferenceUID


def test_directions_that_differ_by_rounding_are_one(tmp_path):
    def rounded(slice_, index: int) -> None:
        if index in (3, 4):
            slice_.ImageOrientationPatient = [1, 3e-6, 0, 0, 1, 0]

    write_series(tmp_path / "study", image(), 4, FLAIR, change=rounded)
    assert segmented(tmp_path / "study")[0] == ()


def test_the_characters_of_japan_are_kept(tmp_path):
    def japanese(slice_, _: int) -> None:
        slice_.SpecificCharacterSet, slice_.PatientName = ["", "ISO 2022 IR 87"], JAPANESE

    write_series(tmp_path / "study", image(), 4, FLAIR, change=japanese)
    notes, written = segmented(tmp_path / "study")
    written.decode()
    assert notes == () and str(written.PatientName) == JAPANESE


def test_a_source_that_cannot_be_referred_to_is_refused_before_it_is_segmented(tmp_path):
    write_series(tmp_path / "study", image(), 4, FLAIR, change=lambda slice_, _: delattr(slice_, "SOPInstanceUID"))
    with pytest.raises(InputError, match=r"by SOPInstanceUID, but series 4 .* lacks it\. Run without --dicom-seg\."):
        check_segmentation(choose_study(tmp_path / "study").flair)


@pytest.mark.parametrize("turned", [0.0, 15.0])
@pytest.mark.parametrize("shared", [True, False])
def test_the_segmentation_of_a_multiframe_file_lies_in_its_place(turned, shared, tmp_path):
    write_enhanced(tmp_path / "study", image(turned), 4, FLAIR, shared=shared)
    notes, written = segmented(tmp_path / "study")
    assert notes == ()
    source = pydicom.dcmread(tmp_path / "study" / "04-enhanced.dcm")
    assert written.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID


def test_the_segmentation_of_magnitudes_before_phases_lies_in_its_place(tmp_path):
    def with_phases(whole) -> None:
        frames = [copy.deepcopy(frame) for _ in range(2) for frame in whole.PerFrameFunctionalGroupsSequence]
        for number, frame in enumerate(frames):
            kind = pydicom.Dataset()
            kind.ComplexImageComponent = "MAGNITUDE" if number < len(frames) / 2 else "PHASE"
            frame.MRImageFrameTypeSequence = [kind]
        whole.PerFrameFunctionalGroupsSequence, whole.NumberOfFrames = frames, len(frames)
        whole.PixelData *= 2

    write_enhanced(tmp_path / "study", image(), 4, FLAIR, change=with_phases)
    notes, _ = segmented(tmp_path / "study")
    assert notes == ()


def test_the_series_of_a_clinic_goes_to_a_segmentation(real_data, tmp_path):
    study = choose_study(real_data / "dicom" / "philips_flair")
    assert check_segmentation(study.flair) == (
        "PatientSex of the source is outside the standard and left empty in mask.dcm",
    )
    flair = read_volume(convert_study(study, tmp_path).flair)
    array = np.zeros(flair.space.shape, np.bool_)
    array[60:64, 100:109, 8:11] = True
    write_segmentation(tmp_path / "mask.dcm", Mask(array, flair.space), study.flair, "histeq")
    check_places(tmp_path / "mask.dcm", Mask(array, flair.space))


@pytest.mark.parametrize("multiframe", [True, False])
def test_a_phantom_goes_the_whole_way_to_a_segmentation_on_its_side(multiframe, flairline, tmp_path):
    """A lesion is painted on the right of a phantom, that goes to DICOM, and mask.dcm has it there."""
    from flairline.datasets.phantom import Dataset

    (case,) = Dataset(tmp_path / "phantom", subjects=1, spacing_mm=3.0).cases()
    flair, brain = read_volume(case.flair), read_mask(case.brain)
    array = np.where(brain.array, np.clip(flair.array, 1, None), 0)
    array = array / array.max() * 400
    middle = np.argwhere(brain.array).mean(axis=0)
    x, y, z = np.rint(middle + np.array([8, 6, 3])).astype(int)
    array[x : x + 5, y : y + 6, z : z + 4] = 2000
    write = write_enhanced if multiframe else write_series
    write(tmp_path / "dicom", Volume(array.astype(np.float32), flair.space), 4, FLAIR)
    ran = flairline("segment", tmp_path / "dicom", "--method", "histeq", "--dicom-seg", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    (mask_file,) = (tmp_path / "out").rglob("mask.dcm")
    mask = read_mask(mask_file.with_name("mask.nii.gz"))
    check_places(mask_file, mask)
    assert pydicom.dcmread(mask_file.with_name("report.dcm")).Modality == "SR"
    spot = np.zeros_like(mask.array)
    spot[x : x + 5, y : y + 6, z : z + 4] = True
    assert (mask.array & spot).sum() == spot.sum()
    brightest = np.array([x + 2, y + 2.5, z + 1.5, 1.0])
    apart = np.linalg.norm(points_mm(mask_file) - (flair.space.vox_to_ras @ brightest)[:3], axis=1)
    assert apart.min() < 3.0 and (flair.space.vox_to_ras @ brightest)[0] > (flair.space.vox_to_ras @ [*middle, 1])[0]


def test_a_source_that_cannot_be_referred_to_ends_before_anything_is_segmented(flairline, tmp_path):
    write_series(tmp_path / "study", image(), 4, FLAIR, change=lambda slice_, _: delattr(slice_, "SOPInstanceUID"))
    ran = flairline("segment", tmp_path / "study", "--method", "histeq", "--dicom-seg", "-o", tmp_path / "out")
    assert ran.code == 2 and "by SOPInstanceUID" in ran.line
    assert not list((tmp_path / "out").rglob("mask.*"))


def test_slices_of_one_name_are_written_and_that_is_said_once(tmp_path, capfd):
    """A careless anonymiser gives all files one name; highdicom's own words of it stay away from the terminal."""
    write_series(
        tmp_path / "study", image(), 4, FLAIR, change=lambda slice_, _: setattr(slice_, "SOPInstanceUID", "1.2")
    )
    notes, _ = segmented(tmp_path / "study")
    assert notes == ("Slices of the source share one SOPInstanceUID; viewers may not find them from mask.dcm",)
    assert capfd.readouterr() == ("", "")


def test_places_that_are_rounded_are_those_of_the_segmentation(tmp_path):
    def rounded(slice_, _: int) -> None:
        slice_.ImagePositionPatient = [round(float(value), 2) for value in slice_.ImagePositionPatient]

    write_series(tmp_path / "study", image(15.0), 4, FLAIR, change=rounded)
    assert segmented(tmp_path / "study")[0] == ()


@pytest.mark.parametrize("spacing", [b"abc ", b"-4", b"4,0 "])
def test_a_distance_of_slices_that_is_none_is_left_out_and_said(spacing, tmp_path):
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    tag = Tag(0x0018, 0x0088)
    element = RawDataElement(tag, "DS", len(spacing), spacing, 0, False, True)
    write_series(tmp_path / "study", image(), 4, FLAIR, change=lambda slice_, _: slice_._dict.update({tag: element}))
    notes, _ = segmented(tmp_path / "study")
    assert notes == ("SpacingBetweenSlices of the source is no distance and was left out",)
