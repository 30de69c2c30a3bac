"""DICOM files as scanners write them, for tests: classic slices and multi-frame files of a volume."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from flairline.types import Space, Volume

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
    folder: Path,
    volume: Volume,
    number: int,
    tags: dict,
    *,
    study: str = "1.2.3",
    skip: Collection[int] = (),
    change: Callable[[Any, int], None] | None = None,
    **patient: str,
) -> str:
    """Write a volume as classic MR slices, as a scanner does: columns grow to the left, rows to the back.

    `change` is called with each slice and its index before it is saved.
    """
    from pydicom.uid import MRImageStorage, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    array, vox_to_lps, sides = _as_stored(volume)
    uid = generate_uid(entropy_srcs=[study, str(number)])
    for index in range(volume.array.shape[2]):
        if index in skip:
            continue
        slice_ = _common(volume, MRImageStorage, number, uid, study, f"{index}", {**SECRETS, **patient, **tags})
        slice_.InstanceNumber = index + 1
        slice_.ScanningSequence, slice_.SequenceVariant, slice_.MRAcquisitionType = "SE", "NONE", "2D"
        slice_.ImageOrientationPatient = [*(vox_to_lps[:3, 0] / sides[0]), *(vox_to_lps[:3, 1] / sides[1])]
        slice_.ImagePositionPatient = list((vox_to_lps @ [0, 0, index, 1])[:3])
        slice_.PixelSpacing, slice_.SliceThickness = [sides[1], sides[0]], sides[2]
        slice_.PixelData = np.ascontiguousarray(array[:, :, index].T).tobytes()
        if change is not None:
            change(slice_, index)
        slice_.save_as(folder / f"{number:02d}-{index:03d}.dcm", enforce_file_format=True)
    return uid


def write_enhanced(
    folder: Path,
    volume: Volume,
    number: int,
    tags: dict,
    *,
    study: str = "1.2.3",
    shared: bool = True,
    change: Callable[[Any], None] | None = None,
) -> Path:
    """Write a volume as one multi-frame file: times, orientation and spacing in the shared groups or in each frame's.

    `tags` are a classic series'; `change` is called with the data set before it is saved.
    """
    from pydicom.dataset import Dataset
    from pydicom.uid import EnhancedMRImageStorage, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    array, vox_to_lps, sides = _as_stored(volume)
    uid = generate_uid(entropy_srcs=[study, str(number)])
    texts = {key: value for key, value in tags.items() if not key.endswith("Time")}
    whole = _common(volume, EnhancedMRImageStorage, number, uid, study, "enhanced", {**SECRETS, **texts})
    whole.NumberOfFrames, whole.InstanceNumber = volume.array.shape[2], 1

    def item(**values: object) -> list[Dataset]:
        made = Dataset()
        for key, value in values.items():
            setattr(made, key, value)
        return [made]

    def of_all(group: Dataset) -> None:
        group.MREchoSequence = item(EffectiveEchoTime=tags["EchoTime"])
        group.MRTimingAndRelatedParametersSequence = item(RepetitionTime=tags["RepetitionTime"])
        if "InversionTime" in tags:
            group.MRModifierSequence = item(InversionRecovery="YES", InversionTimes=[tags["InversionTime"]])
        turned = [*(vox_to_lps[:3, 0] / sides[0]), *(vox_to_lps[:3, 1] / sides[1])]
        group.PlaneOrientationSequence = item(ImageOrientationPatient=[round(value, 10) for value in turned])
        group.PixelMeasuresSequence = item(PixelSpacing=[sides[1], sides[0]], SliceThickness=sides[2])

    frames = []
    for index in range(volume.array.shape[2]):
        frame = Dataset()
        place = [round(value, 6) for value in (vox_to_lps @ [0, 0, index, 1])[:3]]
        frame.PlanePositionSequence = item(ImagePositionPatient=place)
        frame.FrameContentSequence = item(
            StackID="1", InStackPositionNumber=index + 1, DimensionIndexValues=[1, index + 1]
        )
        if not shared:
            of_all(frame)
        frames.append(frame)
    common = Dataset()
    if shared:
        of_all(common)
    whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = [common], frames
    whole.PixelData = np.ascontiguousarray(array.transpose(2, 1, 0)).tobytes()
    if change is not None:
        change(whole)
    path = folder / f"{number:02d}-enhanced.dcm"
    whole.save_as(path, enforce_file_format=True)
    return path


def _as_stored(volume: Volume) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The array with columns to the left and rows to the back, its affine to LPS, its sides in mm."""
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    flip[:2, 3] = np.array(volume.array.shape[:2]) - 1
    vox_to_lps = LPS_FROM_RAS @ volume.space.vox_to_ras @ flip
    return volume.array[::-1, ::-1].astype(np.uint16), vox_to_lps, np.linalg.norm(vox_to_lps[:3, :3], axis=0)


def _common(volume: Volume, kind: str, number: int, uid: str, study: str, name: str, tags: dict) -> Any:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = kind
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[uid, name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image_ = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image_.SOPClassUID, image_.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    for key, value in tags.items():
        setattr(image_, key, value)
    image_.PatientSex, image_.AccessionNumber, image_.StudyID, image_.ReferringPhysicianName = "F", "", "1", ""
    image_.StudyDate, image_.StudyTime = "20200101", "120000"
    image_.StudyInstanceUID, image_.SeriesInstanceUID = study, uid
    image_.FrameOfReferenceUID, image_.PositionReferenceIndicator = study + ".9", ""
    image_.Modality, image_.SeriesNumber = "MR", number
    image_.ImageType, image_.Manufacturer = ["ORIGINAL", "PRIMARY", "M"], "Nobody"
    image_.Rows, image_.Columns = volume.array.shape[1], volume.array.shape[0]
    image_.SamplesPerPixel, image_.PhotometricInterpretation, image_.PixelRepresentation = 1, "MONOCHROME2", 0
    image_.BitsAllocated, image_.BitsStored, image_.HighBit = 16, 16, 15
    return image_
