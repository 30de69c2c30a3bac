"""Series whose headers say more than dcm2niix heeds: uneven places, scales of single frames, inverted grey values."""

from __future__ import annotations

from dataclasses import replace
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


def converted(folder: Path) -> tuple[Volume, tuple[str, ...]]:
    """The FLAIR of a folder, and what is said of the choice."""
    study = choose_study(folder)
    return read_volume(convert_study(study, folder.parent / "work").flair), study.reasons


def thin(turned: float = 0.0) -> Volume:
    """The box with slices .9375 mm apart, turned about the vertical."""
    vox_to_ras = image(turned).space.vox_to_ras.copy()
    vox_to_ras[:3, 2] *= 0.9375 / 4
    return Volume(image().array, Space(SHAPE, vox_to_ras))


def rounded(slice_, _: int) -> None:
    slice_.ImagePositionPatient = [round(float(value), 1) for value in slice_.ImagePositionPatient]


@pytest.mark.parametrize("turned", [0.0, 15.0])
def test_places_that_are_rounded_make_an_even_grid_and_that_is_said(turned, tmp_path):
    """dcm2niix takes the first distance, .9 or 1.0 mm, for all."""
    write_series(tmp_path / "study", thin(turned), 4, FLAIR, change=rounded)
    found, reasons = converted(tmp_path / "study")
    np.testing.assert_array_equal(found.array, image().array)
    ends = np.array([[0, 0, 0, 1.0], [*(np.array(SHAPE) - 1), 1.0]]).T
    apart_mm = np.linalg.norm((found.space.vox_to_ras @ ends - thin(turned).space.vox_to_ras @ ends)[:3], axis=0)
    assert apart_mm.max() < 0.1
    assert any("off even distances and were taken as even" in line for line in reasons)


def test_the_places_of_frames_that_are_rounded_make_an_even_grid(tmp_path):
    def rounded_frames(whole) -> None:
        for frame in whole.PerFrameFunctionalGroupsSequence:
            rounded(frame.PlanePositionSequence[0], 0)

    write_enhanced(tmp_path / "study", thin(), 4, FLAIR, change=rounded_frames)
    found, _ = converted(tmp_path / "study")
    np.testing.assert_array_equal(found.array, image().array)
    np.testing.assert_allclose(found.space.spacing_mm, (2, 2, 0.9375), atol=0.01)


def test_sound_places_are_not_spoken_of(tmp_path):
    write_series(tmp_path / "study", thin(), 4, FLAIR)
    assert not any("even" in line for line in converted(tmp_path / "study")[1])


def test_slices_far_off_even_distances_are_refused(tmp_path):
    def drifting(slice_, index: int) -> None:
        x, y, z = map(float, slice_.ImagePositionPatient)
        slice_.ImagePositionPatient = [x, y, z + (1.9 if index > 6 else 0.0)]

    write_series(tmp_path / "study", image(), 4, FLAIR, change=drifting)
    with pytest.raises(InputError, match="elsewhere than its headers say"):
        converted(tmp_path / "study")


@pytest.mark.parametrize("backwards", [False, True])
def test_each_frame_of_a_multiframe_file_has_its_own_scale(backwards, tmp_path):
    """dcm2niix takes one frame's for all."""
    slopes, intercepts = 1 + 0.25 * np.arange(SHAPE[2]), np.arange(SHAPE[2])

    def scaled(whole) -> None:
        for index, frame in enumerate(whole.PerFrameFunctionalGroupsSequence):
            group = pydicom.Dataset()
            group.RescaleSlope, group.RescaleIntercept, group.RescaleType = (
                f"{slopes[index]:.2f}",
                f"{intercepts[index]}",
                "US",
            )
            frame.PixelValueTransformationSequence = [group]
        if backwards:
            pixels = np.frombuffer(whole.PixelData, np.uint16).reshape(SHAPE[::-1])
            whole.PixelData = pixels[::-1].tobytes()
            whole.PerFrameFunctionalGroupsSequence = list(whole.PerFrameFunctionalGroupsSequence)[::-1]

    write_enhanced(tmp_path / "study", image(), 4, FLAIR, change=scaled)
    found, _ = converted(tmp_path / "study")
    np.testing.assert_allclose(found.array, image().array * slopes + intercepts, rtol=1e-6)
    assert found.space.same_grid(image().space)


def test_one_scale_for_all_frames_is_read_as_before(tmp_path):
    def scaled(whole) -> None:
        group = pydicom.Dataset()
        group.RescaleSlope, group.RescaleIntercept, group.RescaleType = "2", "5", "US"
        whole.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [group]

    write_enhanced(tmp_path / "study", image(), 4, FLAIR, change=scaled)
    np.testing.assert_allclose(converted(tmp_path / "study")[0].array, image().array * 2 + 5)


@pytest.mark.parametrize("multiframe", [False, True])
def test_grey_values_that_are_stored_inverted_are_turned_and_that_is_said(multiframe, tmp_path):
    def inverted(whole, *_) -> None:
        pixels = 1000 - np.frombuffer(whole.PixelData, np.uint16)
        whole.PixelData, whole.PhotometricInterpretation = pixels.astype(np.uint16).tobytes(), "MONOCHROME1"

    write = write_enhanced if multiframe else write_series
    write(tmp_path / "study", image(), 4, FLAIR, change=inverted)
    found, reasons = converted(tmp_path / "study")
    stored = 1000 - image().array
    np.testing.assert_array_equal(found.array, stored.min() + stored.max() - stored)
    assert np.ptp(np.argwhere(found.array == found.array.max()), axis=0).tolist() == [2, 3, 1]  # the bright spot
    assert any("MONOCHROME1" in line for line in reasons)


def test_a_deflated_file_is_read(tmp_path):
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    write_series(tmp_path / "study", image(), 4, FLAIR)
    for path in (tmp_path / "study").iterdir():
        slice_ = pydicom.dcmread(path)
        slice_.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        slice_.save_as(path)
    found, _ = converted(tmp_path / "study")
    np.testing.assert_array_equal(found.array, image().array)
    assert found.space.same_grid(image().space)


def test_slices_that_each_name_a_series_of_their_own_are_put_together_and_that_is_said(tmp_path):
    """As anonymisers do that give every file new names."""
    from pydicom.uid import generate_uid

    def renamed(slice_, _: int) -> None:
        slice_.SeriesInstanceUID = generate_uid()

    write_series(tmp_path / "study", image(), 4, FLAIR, change=renamed)
    write_series(tmp_path / "study", image(), 2, T1, change=renamed)
    found, reasons = converted(tmp_path / "study")
    np.testing.assert_array_equal(found.array, image().array)
    assert any("a series of its own" in line for line in reasons)
    assert choose_study(tmp_path / "study").t1.number == 2


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_a_modality_in_small_letters_is_one(tmp_path):
    write_series(tmp_path / "study", image(), 4, FLAIR, change=lambda slice_, _: setattr(slice_, "Modality", "mr"))
    assert choose_study(tmp_path / "study").flair.number == 4


@pytest.mark.parametrize("named", [None, 4])
def test_two_visits_in_one_folder_are_refused_with_where_they_lie(named, tmp_path):
    later = replace(image(), array=image().array * 2)
    write_series(tmp_path / "study" / "a", image(), 4, FLAIR)
    write_series(tmp_path / "study" / "b", later, 4, FLAIR, study="1.2.4")
    with pytest.raises(InputError, match=r"holds 2 .* of each visit \(.*a/04-000.dcm, b/04-000.dcm\)\. Give each"):
        choose_study(tmp_path / "study", named)


def test_a_study_of_many_series_is_no_endless_line(tmp_path):
    for number in range(1, 31):
        write_series(tmp_path / "study", image(), number, T1, skip=range(1, 14))
    with pytest.raises(InputError, match=r"found none among: .*; and 18 more") as refused:
        choose_study(tmp_path / "study")
    assert len(str(refused.value)) < 1500


def test_nifti_files_in_a_folder_without_dicom_are_named(tmp_path, save):
    save(tmp_path / "scans" / "flair.nii.gz", image().array)
    with pytest.raises(InputError, match=r"has none\. It has NIfTI files \(flair\.nii\.gz\): name them\."):
        choose_study(tmp_path / "scans")


def test_a_slice_without_its_pixels_is_refused_as_such(tmp_path):
    def emptied(slice_, index: int) -> None:
        if index == 5:
            del slice_.PixelData

    write_series(tmp_path / "study", image(), 4, FLAIR, change=emptied)
    with pytest.raises(InputError, match="it did not take all of its slices"):
        converted(tmp_path / "study")
    assert not list((tmp_path / "work").rglob("*.nii.gz"))
