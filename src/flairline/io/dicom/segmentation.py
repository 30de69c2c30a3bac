"""A mask as a DICOM Segmentation of its source series, also where the source's headers are not by the standard."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.errors import InputError, MissingExtraError
from flairline.io.dicom.headers import item, number
from flairline.io.dicom.series import Series
from flairline.io.files import write_bytes
from flairline.io.quiet import quiet
from flairline.types import Mask, Space

NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""What a Segmentation refers to its source by; without these it cannot be written."""
MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""What the standard wants to be there, if only without a value."""
SEXES = ("", "M", "F", "O")
UNICODE = "ISO_IR 192"


def check_segmentation(source: Series) -> tuple[str, ...]:
    """Whether a Segmentation of a series can be written, found out before the series is segmented.

    Returns
    -------
    tuple[str, ...]
        What is left empty or made up, because the source lacks it or has a value outside the standard.

    Raises
    ------
    MissingExtraError
        highdicom is not installed.
    InputError
        The source lacks what a Segmentation refers to it by.
    """
    space = source.space
    spot = Mask(np.zeros(space.shape, np.bool_), space)
    spot.array[tuple(side // 2 for side in space.shape)] = True
    return _built(_Marked(spot), source, "check")[1]


def write_segmentation(
    path: Path, mask: Mask, source: Series, description: str, numbers: NDArray[np.integer] | None = None
) -> None:
    """Write a mask as a DICOM Segmentation that references its source series, with that series' patient module.

    The mask may lie on any grid; it is brought to the source's slices, which is exact where it came from them.

    Parameters
    ----------
    numbers
        The number of each voxel's lesion (x, y, z), from 1, on the mask's grid: each lesion becomes a segment of that
        number, which a report can refer to. None, or a mask without lesions: one segment for all that is marked.

    Raises
    ------
    MissingExtraError
        highdicom is not installed.
    InputError
        The source lacks what a Segmentation refers to it by (see `check_segmentation`).
    OutputError
        The file cannot be written.
    """
    write_bytes(path, _built(_Marked(mask, numbers), source, description)[0])


def source_headers(source: Series) -> list[Any]:
    """The headers of a series' files, in order, as a Segmentation refers to them: with values by the standard alone.

    Raises
    ------
    InputError
        The source lacks what it is referred to by (see `check_segmentation`).
    """
    with quiet("highdicom", "pydicom"):
        return [_sound(image, source, {}) for image in _images(source)]


@dataclass(frozen=True, eq=False)
class _Marked:
    """A mask, and the numbers of its lesions (x, y, z) where each is to be a segment."""

    mask: Mask
    numbers: NDArray[np.integer] | None = None

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return 1 if self.numbers is None else max(1, int(self.numbers.max(initial=0)))

    @property
    def array(self) -> NDArray[np.integer]:
        """The segment of each voxel, 0 where nothing is marked."""
        return self.mask.array.astype(np.uint16) if self.numbers is None else self.numbers.astype(np.uint16)


def _built(marked: _Marked, source: Series, description: str) -> tuple[bytes, tuple[str, ...]]:
    """The Segmentation as the bytes of a file, and what of its source it left empty or made up."""
    try:
        import highdicom  # noqa: F401
    except ModuleNotFoundError as error:
        what = "--dicom-seg"
        raise MissingExtraError(what, "dicom") from error
    notes: dict[str, None] = {}
    try:
        with quiet("highdicom", "pydicom"):  # they warn of values outside the standard, which are dealt with here
            images = [_sound(image, source, notes) for image in _images(source)]
            if len({image.SOPInstanceUID for image in images}) < len(images):
                notes["Slices of the source share one SOPInstanceUID; viewers may not find them from mask.dcm"] = None
            return _content(marked, source, images, description), tuple(notes)
    except InputError:
        raise
    except Exception as error:  # highdicom and pydicom raise many types on headers outside the standard
        reason = " ".join(str(error).split()).rstrip(".")
        msg = f"A DICOM Segmentation of {source.describe()} cannot be written: {reason}. Run without --dicom-seg."
        raise InputError(msg) from error


def _content(marked: _Marked, source: Series, images: Sequence[Any], description: str) -> bytes:
    from io import BytesIO

    import highdicom
    import pydicom
    from pydicom.sr.codedict import codes

    frames = _on_frames(marked, source, images)
    version = _version()
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=description, version=version, family=codes.DCM.ArtificialIntelligence
    )
    digest = hashlib.sha256(np.packbits(marked.mask.array).tobytes()).hexdigest()
    name = [source.uid, description, digest, *([] if marked.numbers is None else ["a segment a lesion"])]
    segments = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label="abnormal on FLAIR" if marked.numbers is None else f"lesion {number}",
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            tracking_id=None if marked.numbers is None else f"lesion {number}",
            tracking_uid=None
            if marked.numbers is None
            else pydicom.uid.generate_uid(entropy_srcs=[*name, f"{number}"]),
        )
        for number in range(1, marked.segments + 1)
    ]
    segmentation = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=np.ascontiguousarray(frames),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=pydicom.uid.generate_uid(entropy_srcs=[source.uid, description, "series"]),
        series_number=max(source.number, 0) + 1000,
        sop_instance_uid=pydicom.uid.generate_uid(entropy_srcs=name),
        instance_number=1,
        manufacturer="flairline",
        manufacturer_model_name="flairline",
        software_versions=version,
        device_serial_number="0",
        content_label="LESIONS",
        series_description="flairline, research use only",
    )
    buffer = BytesIO()
    segmentation.save_as(buffer)
    return buffer.getvalue()


def _images(source: Series) -> list[Any]:
    """The headers of the source's files, in order."""
    import pydicom

    if source.is_multiframe and len(source.files) > 1:
        msg = (
            f"A DICOM Segmentation refers to one multi-frame file, but {source.describe()} has {len(source.files)}."
            " Run without --dicom-seg."
        )
        raise InputError(msg)
    images = [pydicom.dcmread(file, stop_before_pixels=True, force=True) for file in source.files]
    if source.is_multiframe:
        _without_frames_behind(images[0], source)
    return images


def _without_frames_behind(image: Any, source: Series) -> None:
    """Leave out frames behind those of the series, such as the phase of each: two of one place cannot be referred to.

    Only there: the others keep their numbers in the file, by which they are referred to.
    """
    count = len(source.frames)
    if sorted(frame.index for frame in source.frames) == list(range(count)) and count < int(image.NumberOfFrames):
        image.PerFrameFunctionalGroupsSequence = list(image.PerFrameFunctionalGroupsSequence)[:count]
        image.NumberOfFrames = count


def _on_frames(marked: _Marked, source: Series, images: Sequence[Any]) -> NDArray[np.integer]:
    """The segments on the source's frames as highdicom wants them: (slice, row, column), in the order of the files.

    A multi-frame file is given whole; its frames that are no slice of the series stay empty.
    """
    slices = _on_slices(marked, source.space).transpose(2, 1, 0)  # (column, row, slice) -> (slice, row, column)
    if not source.is_multiframe:
        return slices
    frames = np.zeros((int(images[0].NumberOfFrames), *slices.shape[1:]), slices.dtype)
    frames[[frame.index for frame in source.frames]] = slices
    return frames


def _on_slices(marked: _Marked, space: Space) -> NDArray[np.integer]:
    """The segments on the slices' own grid (column, row, slice): nearest voxel, which is exact on the same grid."""
    to_mask = np.linalg.inv(marked.mask.space.vox_to_ras) @ space.vox_to_ras
    places = np.moveaxis(np.indices(space.shape), 0, -1) @ to_mask[:3, :3].T + to_mask[:3, 3]
    nearest = np.rint(places).astype(int)
    within = ((nearest >= 0) & (nearest < np.array(marked.mask.space.shape))).all(axis=-1)
    found = np.zeros(space.shape, np.uint16)
    found[within] = marked.array[tuple(nearest[within].T)]
    return found


def _sound(image: Any, source: Series, notes: dict[str, None]) -> Any:
    """The header with what highdicom asks for: values outside the standard are emptied, and said."""
    from pydicom.uid import generate_uid

    for keyword in NEEDED:
        if not _readable(image, keyword):
            msg = (
                f"A DICOM Segmentation refers to its source by {keyword}, but {source.describe()} lacks it."
                " Run without --dicom-seg."
            )
            raise InputError(msg)
    _drop_unreadable(image, notes)
    for keyword in MAY_BE_EMPTY:
        if keyword not in image:
            setattr(image, keyword, "")
            notes[f"{keyword} is missing in the source and left empty in mask.dcm"] = None
        elif not _is_by_standard(image, keyword):
            setattr(image, keyword, "")
            notes[f"{keyword} of the source is outside the standard and left empty in mask.dcm"] = None
    if not _readable(image, "FrameOfReferenceUID"):
        image.FrameOfReferenceUID = generate_uid(entropy_srcs=[source.uid, "frame of reference"])
        notes["FrameOfReferenceUID is missing in the source and made up in mask.dcm"] = None
    _with_one_grid(image, source, notes)
    _in_known_characters(image)
    return image


def _with_one_grid(image: Any, source: Series, notes: dict[str, None]) -> None:
    """One orientation, spacing and thickness for all slices: scanners round them, and some leave one out."""
    from pydicom.dataset import Dataset

    first, (_, _, between_slices) = source.frames[0], source.space.spacing_mm
    if not source.is_multiframe:
        image.ImageOrientationPatient = list(first.orientation)
        if not number(image, "SliceThickness") > 0:
            image.SliceThickness = round(between_slices, 6)
            notes["SliceThickness is missing in the source; in mask.dcm it is the distance of the slices"] = None
        if "SpacingBetweenSlices" in image and not number(image, "SpacingBetweenSlices") > 0:
            del image.SpacingBetweenSlices
            notes["SpacingBetweenSlices of the source is no distance and was left out"] = None
        return
    if item(image, "SharedFunctionalGroupsSequence") is None:
        image.SharedFunctionalGroupsSequence = [Dataset()]
    shared, measures, plane = image.SharedFunctionalGroupsSequence[0], Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(first.spacing_mm), round(between_slices, 6)
    measures.SpacingBetweenSlices = round(between_slices, 6)
    plane.ImageOrientationPatient = list(first.orientation)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    for frame in image.PerFrameFunctionalGroupsSequence:
        for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
            if keyword in frame:
                delattr(frame, keyword)


def _drop_unreadable(image: Any, notes: dict[str, None]) -> None:
    from pydicom.datadict import keyword_for_tag

    for tag in list(image.keys()):
        try:
            str(image[tag].value)
        except Exception:  # pydicom converts a value when it is asked for, and raises many types
            del image[tag]
            name = keyword_for_tag(tag) or f"{tag}"
            notes[f"{name} of the source cannot be read and was left out of mask.dcm"] = None


def _in_known_characters(image: Any) -> None:
    """Several character sets in one header, as in Japan, become Unicode, which has all of their signs."""
    from highdicom import SpecificCharacterSetValues

    named = image.get("SpecificCharacterSet")
    alone = {each.value for each in SpecificCharacterSetValues if not each.value.startswith("ISO 2022")}
    if named is None or f"{named}" in alone:
        return
    image.decode()
    image.SpecificCharacterSet = UNICODE


def _readable(image: Any, keyword: str) -> bool:
    try:
        return bool(image.get(keyword))
    except Exception:  # pydicom converts a value when it is asked for, and raises many types
        return False


def _is_by_standard(image: Any, keyword: str) -> bool:
    from pydicom.valuerep import DA, TM

    checks: dict[str, Callable[[Any], object]] = {
        "PatientBirthDate": DA,
        "StudyDate": DA,
        "StudyTime": TM,
        "PatientSex": SEXES.index,
    }
    found = image.get(keyword)
    if found is None or found == "":
        return True
    try:
        checks.get(keyword, str)(found)
    except Exception:
        return False
    return not isinstance(found, (list, tuple)) and "\\" not in str(found)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("flairline")
    except PackageNotFoundError:
        return "unknown"
