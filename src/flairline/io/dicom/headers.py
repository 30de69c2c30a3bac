"""What a DICOM file's header says, whatever state it is in.

By one rule: a number that cannot be read is unsaid (NaN, or 0 for a number of a series), a text that cannot be read is
empty, and what cannot be placed is no slice. An attribute may be missing, empty, repeated or of another type; none of
it ends in an exception.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flairline.errors import MissingExtraError

Place = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]

DEFLATED = "1.2.840.10008.1.2.1.99"
"""The transfer syntax of files that are compressed as a whole."""
RESCALE = ("RescaleSlope", "RescaleIntercept")
DIRECTION_TOLERANCE = 1e-2
"""How far the two directions of a slice may be from length one and from a right angle; texts are rounded."""


@dataclass(frozen=True)
class FileHeader:
    """What is the same for all slices of a file. Texts are empty and `number` is 0 where unsaid."""

    file: Path
    sop_class: str
    uid: str
    series_uid: str
    study_uid: str
    patient: tuple[str, str, str]
    number: int
    description: str
    modality: str
    has_preamble: bool
    is_multiframe: bool
    is_inverted: bool = False
    """Whether its lowest grey value is the brightest (MONOCHROME1)."""
    is_deflated: bool = False


@dataclass(frozen=True)
class Frame:
    """One slice: the image of a classic file, or one frame of a multi-frame file. Times in ms, NaN where unsaid.

    `place_mm` is the centre of the first voxel in LPS, `orientation` the directions along a row and along a column,
    `spacing_mm` lies between rows and between columns, `shape` is (rows, columns), `index` the frame's in its file.
    """

    header: FileHeader
    index: int
    place_mm: Place
    orientation: Orientation
    spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    echo_time_ms: float
    repetition_time_ms: float
    inversion_time_ms: float
    kinds: frozenset[str]
    has_contrast: bool
    rescale: tuple[float, float] = (1.0, 0.0)
    """Slope and intercept of a frame of a multi-frame file; those of classic files are left to dcm2niix."""

    @property
    def name(self) -> str:
        """The file, with the frame's number where it has several."""
        return (
            f"{self.header.file.name}, frame {self.index + 1}" if self.header.is_multiframe else self.header.file.name
        )


@dataclass
class Headers:
    """What lies in a folder: slices, images that say no place, and DICOM files that cannot be read."""

    frames: list[Frame] = field(default_factory=list)
    placeless: list[FileHeader] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)


def read_headers(folder: Path) -> Headers:
    """All slices under a folder, in the order of their files.

    Raises
    ------
    MissingExtraError
        pydicom is not installed.
    """
    try:
        import pydicom  # noqa: F401
    except ModuleNotFoundError as error:
        what = "Reading DICOM"
        raise MissingExtraError(what, "dicom") from error
    found = Headers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of each value outside the standard
        for path in sorted(folder.rglob("*")):
            if path.name == "DICOMDIR" or not path.is_file():
                continue
            start = _start(path)
            if start is None:
                continue
            header = _parsed(path, has_preamble=start)
            if header is None:
                found.damaged.append(path)
                continue
            file_header = _file_header(path, header, has_preamble=start)
            frames = list(_frames(file_header, header))
            found.frames += frames
            if not frames and file_header.modality == "MR":
                found.placeless.append(file_header)
    return found


def pixels_digest(frame: Frame) -> str:
    """A hash of a slice's grey values as they are stored; of a multi-frame file, of all its frames."""
    import pydicom

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = pydicom.dcmread(frame.header.file, force=True).get("PixelData")
    except Exception:  # it cannot be compared, so it is like no other
        return f"{frame.header.file}"
    if not pixels:
        return f"{frame.header.file}"
    return hashlib.sha256(bytes(pixels)).hexdigest() + (f" {frame.index}" if frame.header.is_multiframe else "")


def value(dataset: Any, keyword: str) -> Any:
    """What an attribute holds; None where it is missing or empty, or cannot be read."""
    try:
        found = dataset.get(keyword)
        return None if found is None or found == "" else found
    except Exception:  # pydicom converts a value when it is asked for, and raises many types
        return None


def number(dataset: Any, keyword: str) -> float:
    """An attribute as a number; NaN where it is unsaid, not finite, or several that differ."""
    found = value(dataset, keyword)
    try:
        several = [float(each) for each in _listed(found)]
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return (
        several[0]
        if several and all(each == several[0] for each in several) and math.isfinite(several[0])
        else math.nan
    )


def numbers(dataset: Any, keyword: str, count: int) -> tuple[float, ...]:
    """An attribute as so many finite numbers; empty where it is anything else."""
    found = value(dataset, keyword)
    try:
        several = tuple(float(each) for each in _listed(found))
    except (TypeError, ValueError, OverflowError):
        return ()
    return several if len(several) == count and all(map(math.isfinite, several)) else ()


def whole(dataset: Any, keyword: str) -> int:
    """An attribute as a whole number, 0 where it is none."""
    found = number(dataset, keyword)
    return int(found) if found == found and abs(found) < 2**31 else 0


def text(dataset: Any, keyword: str) -> str:
    """An attribute as one line of text, empty where it is unsaid."""
    found = value(dataset, keyword)
    try:
        joined = " ".join(str(each) for each in _listed(found))
    except Exception:  # a character set that pydicom cannot decode
        return ""
    return " ".join(joined.replace("\0", " ").split())


def item(dataset: Any, keyword: str) -> Any:
    """The first item of a sequence; None where there is none."""
    found = value(dataset, keyword)
    try:
        return found[0] if found is not None else None
    except Exception:  # no sequence, or an empty one
        return None


def _listed(found: Any) -> Sequence[Any]:
    """The values of an attribute, which pydicom gives as a list where there are several."""
    from pydicom.multival import MultiValue

    if found is None:
        return ()
    return found if isinstance(found, (MultiValue, list, tuple)) else [found]


def _start(path: Path) -> bool | None:
    """Whether a file is DICOM with a preamble; False: it starts with its first group at once; None: no DICOM."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return None
    if head[128:132] == b"DICM":
        return True
    return False if len(head) == 132 and head[:2] in (b"\x08\x00", b"\x02\x00") and head[3] == 0 else None


def _parsed(path: Path, has_preamble: bool) -> Any | None:
    import pydicom

    try:
        return pydicom.dcmread(path, stop_before_pixels=True, force=not has_preamble)
    except Exception:  # a damaged file raises many types
        return None


def _file_header(path: Path, header: Any, has_preamble: bool) -> FileHeader:
    series_number, description = whole(header, "SeriesNumber"), text(header, "SeriesDescription")
    study = text(header, "StudyInstanceUID")
    birth, name, identity = (text(header, key) for key in ("PatientBirthDate", "PatientName", "PatientID"))
    return FileHeader(
        file=path,
        sop_class=text(header, "SOPClassUID"),
        uid=text(header, "SOPInstanceUID"),
        series_uid=text(header, "SeriesInstanceUID") or f"{study} {series_number} {description}",
        study_uid=study,
        patient=(identity, name, birth),
        number=series_number,
        description=description or text(header, "ProtocolName"),
        modality=text(header, "Modality").upper() or "MR",
        has_preamble=has_preamble,
        is_multiframe=value(header, "PerFrameFunctionalGroupsSequence") is not None,
        is_inverted=text(header, "PhotometricInterpretation").upper() == "MONOCHROME1",
        is_deflated=text(header.file_meta, "TransferSyntaxUID") == DEFLATED,
    )


def _frames(file_header: FileHeader, header: Any) -> Iterator[Frame]:
    if not file_header.is_multiframe:
        groups: list[tuple[Any, ...]] = [(header,)]
    else:
        shared = item(header, "SharedFunctionalGroupsSequence")
        each = value(header, "PerFrameFunctionalGroupsSequence")
        try:
            groups = [(own, shared, header) for own in each]
        except TypeError:
            return
    for index, levels in enumerate(groups):
        frame = _frame(file_header, index, levels)
        if frame is not None:
            yield frame


def _frame(file_header: FileHeader, index: int, levels: tuple[Any, ...]) -> Frame | None:
    """A slice from the levels of its header, the nearest first; None where it says no place."""
    plane = _first(levels, "PlanePositionSequence", "ImagePositionPatient", 3)
    turned = _first(levels, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = _first(levels, "PixelMeasuresSequence", "PixelSpacing", 2)
    shape = (whole(levels[-1], "Rows"), whole(levels[-1], "Columns"))
    if not plane or not _are_directions(turned) or not spacing or min(spacing) <= 0 or min(shape) < 1:
        return None
    frame_type = _nested(levels, "MRImageFrameTypeSequence")
    of_frame = ("FrameType", "AcquisitionContrast", "ComplexImageComponent")
    kinds = _kinds(levels[-1], "ImageType").union(*(_kinds(frame_type, keyword) for keyword in of_frame))
    return Frame(
        header=file_header,
        index=index,
        place_mm=plane,  # type: ignore[arg-type]
        orientation=turned,  # type: ignore[arg-type]
        spacing_mm=spacing,  # type: ignore[arg-type]
        shape=shape,
        echo_time_ms=_time_ms(levels, "MREchoSequence", "EffectiveEchoTime", "EchoTime"),
        repetition_time_ms=_time_ms(levels, "MRTimingAndRelatedParametersSequence", "RepetitionTime", "RepetitionTime"),
        inversion_time_ms=_time_ms(levels, "MRModifierSequence", "InversionTimes", "InversionTime"),
        kinds=kinds,
        has_contrast=bool(text(levels[-1], "ContrastBolusAgent"))
        or item(levels[-1], "ContrastBolusAgentSequence") is not None,
        rescale=_rescale(levels) if file_header.is_multiframe else (1.0, 0.0),
    )


def _nested(levels: tuple[Any, ...], sequence: str) -> Any | None:
    """The first item of a functional group, of the frame's own or else of the shared ones."""
    return next((found for level in levels if level is not None and (found := item(level, sequence)) is not None), None)


def _first(levels: tuple[Any, ...], sequence: str, keyword: str, count: int) -> tuple[float, ...]:
    group = _nested(levels, sequence)
    return (numbers(group, keyword, count) if group is not None else ()) or numbers(levels[-1], keyword, count)


def _time_ms(levels: tuple[Any, ...], sequence: str, keyword: str, classic: str) -> float:
    group = _nested(levels, sequence)
    found = number(group, keyword) if group is not None else math.nan
    return found if found == found else number(levels[-1], classic)


def _rescale(levels: tuple[Any, ...]) -> tuple[float, float]:
    group = _nested(levels, "PixelValueTransformationSequence")
    slope, intercept = (number(group, word) if group is not None else math.nan for word in RESCALE)
    return (slope if slope == slope and slope != 0 else 1.0, intercept if intercept == intercept else 0.0)


def _kinds(dataset: Any, keyword: str) -> frozenset[str]:
    found = value(dataset, keyword) if dataset is not None else None
    try:
        return frozenset(str(kind).upper() for kind in _listed(found))
    except Exception:  # a text that cannot be decoded
        return frozenset()


def _are_directions(turned: tuple[float, ...]) -> bool:
    if len(turned) != 6:
        return False
    row, column = turned[:3], turned[3:]
    lengths = [math.hypot(*direction) for direction in (row, column)]
    across = sum(a * b for a, b in zip(row, column, strict=True))
    return all(abs(length - 1) < DIRECTION_TOLERANCE for length in lengths) and abs(across) < DIRECTION_TOLERANCE
