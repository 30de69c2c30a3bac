"""DICOM in and out: a folder from the scanner to NIfTI files, and a mask back as a DICOM Segmentation.

Converting is dcm2niix's affair; this module says which series are meant, and why. Nothing that identifies the patient
leaves it, except into a DICOM Segmentation, which by the standard carries the patient module of its source.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.errors import ImageError, InputError, MissingExtraError
from flairline.io.files import prepare_folder, write_bytes
from flairline.io.nifti import read_volume, write_volume
from flairline.types import Mask, Space

MIN_SLICES = 10
"""Fewer slices are a localiser or a sample."""
GAP_FACTOR = 1.5
"""Two neighbouring slices further apart than this many times the usual distance have one missing between them."""
FLAIR_INVERSION_MS = (1500.0, 3200.0)
FLAIR_MIN_ECHO_MS = 60.0
T1_MAX_ECHO_MS = 30.0
T1_MAX_REPETITION_MS = 1000.0
T1_INVERSION_MS = (400.0, 1400.0)
FLAIR_WORDS = re.compile(r"flair|dark.?fluid|tirm", re.IGNORECASE)
T1_WORDS = re.compile(r"t1|mp.?rage|spgr|bravo|tfl", re.IGNORECASE)
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Series:
    """One series: its files in the order of their positions, and what its headers say. Times in ms, NaN where unsaid.

    `positions_mm` are the slices' places along their normal.
    """

    uid: str
    number: int
    description: str
    files: tuple[Path, ...]
    positions_mm: tuple[float, ...]
    echo_time_ms: float
    repetition_time_ms: float
    inversion_time_ms: float
    has_contrast: bool
    is_localizer: bool

    def describe(self) -> str:
        """Number, description, slices and times in one line."""
        times = (
            ("TE", self.echo_time_ms),
            ("TR", self.repetition_time_ms),
            ("TI", self.inversion_time_ms),
        )
        told = ", ".join(f"{name} {value:g} ms" for name, value in times if value == value)
        return f"series {self.number} {self.description!r} ({len(self.files)} slices{', ' if told else ''}{told})"


@dataclass(frozen=True)
class Study:
    """What was chosen from a folder. `name` is made from the study's UID: a folder may be called after the patient."""

    name: str
    flair: Series
    t1: Series | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Converted:
    """The chosen series as NIfTI files."""

    study: Study
    flair: Path
    t1: Path | None


def choose_study(folder: Path, flair_series: int | None = None, t1_series: int | None = None) -> Study:
    """Find the FLAIR and the T1 in a DICOM folder by their sequence parameters.

    Parameters
    ----------
    folder
        Searched through all its subfolders.
    flair_series, t1_series
        Series numbers that overrule the choice.

    Raises
    ------
    InputError
        No DICOM, several patients, no FLAIR, two FLAIRs, or a slice missing.
    """
    headers, multiframe = _headers(folder)
    _check_one_patient(folder, headers)
    series = _grouped(headers)
    left_out = _left_out(multiframe)
    flair, why_flair = _choose_flair(folder, series, flair_series, left_out)
    t1, why_t1 = _choose_t1([one for one in series if one is not flair], t1_series)
    for one in (flair, t1):
        if one is not None:
            _check_slices(one)
    studies = {str(header.StudyInstanceUID) for _, header in headers if header.SeriesInstanceUID == flair.uid}
    name = "study-" + hashlib.sha256("".join(sorted(studies)).encode()).hexdigest()[:8]
    return Study(name, flair, t1, (why_flair, why_t1, *filter(None, [left_out])))


def convert_study(study: Study, work: Path) -> Converted:
    """Convert the chosen series into `work`, under a hash of their contents; what is there already is used again.

    Raises
    ------
    MissingExtraError
        dcm2niix is not installed.
    InputError
        dcm2niix could not convert a series.
    """
    paths = [
        None if one is None else _convert(one, work, name) for name, one in (("flair", study.flair), ("t1", study.t1))
    ]
    assert paths[0] is not None
    return Converted(study, paths[0], paths[1])


def write_segmentation(path: Path, mask: Mask, source: Series, description: str) -> None:
    """Write a mask as a DICOM Segmentation that references its source series, with that series' patient module.

    The mask may lie on any grid; it is brought to the source's slices, which is exact where it came from them.

    Raises
    ------
    MissingExtraError
        highdicom is not installed.
    OutputError
        The file cannot be written.
    """
    from io import BytesIO

    try:
        import highdicom
        import pydicom
        from pydicom.sr.codedict import codes
    except ModuleNotFoundError as error:
        what = "--dicom-seg"
        raise MissingExtraError(what, "dicom") from error

    images = [pydicom.dcmread(file) for file in source.files]
    frames = _on_slices(mask, source_space(images)).transpose(2, 1, 0)  # (column, row, slice) -> (slice, row, column)
    version = _version()
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=description, version=version, family=codes.DCM.ArtificialIntelligence
    )
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="abnormal on FLAIR",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
    )
    told = hashlib.sha256(np.packbits(mask.array).tobytes()).hexdigest()
    segmentation = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=np.ascontiguousarray(frames).astype(np.uint8),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[segment],
        series_instance_uid=pydicom.uid.generate_uid(entropy_srcs=[source.uid, description, "series"]),
        series_number=source.number + 1000,
        sop_instance_uid=pydicom.uid.generate_uid(entropy_srcs=[source.uid, description, told]),
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
    write_bytes(path, buffer.getvalue())


def source_space(images: Sequence[Any]) -> Space:
    """The grid of slices in their order: axes (column, row, slice), in RAS mm."""
    first, last = images[0], images[-1]
    along_row, along_column = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    between_rows, between_columns = (float(value) for value in first.PixelSpacing)
    start, end = (np.array(image.ImagePositionPatient, dtype=float) for image in (first, last))
    vox_to_lps = np.eye(4)
    vox_to_lps[:3, 0] = along_row * between_columns  # the column index grows along the row
    vox_to_lps[:3, 1] = along_column * between_rows
    vox_to_lps[:3, 2] = (end - start) / max(len(images) - 1, 1)
    vox_to_lps[:3, 3] = start
    return Space((int(first.Columns), int(first.Rows), len(images)), RAS_FROM_LPS @ vox_to_lps)


def _headers(folder: Path) -> tuple[list[tuple[Path, Any]], list[Any]]:
    """Headers of the classic slices, with their files; and those of multi-frame images, which are not read."""
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ModuleNotFoundError as error:
        what = "Reading DICOM"
        raise MissingExtraError(what, "dicom") from error
    headers, multiframe = [], []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name == "DICOMDIR":
            continue
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError, EOFError):
            continue
        if "ImagePositionPatient" in header and "SeriesInstanceUID" in header:
            headers.append((path, header))
        elif int(header.get("NumberOfFrames") or 0) > 1 and header.get("Modality") == "MR":
            multiframe.append(header)
    if not headers:
        msg = (
            f"Wanted a folder of DICOM slices, but {folder} has none. Enhanced (multi-frame) DICOM is not read:"
            " convert it with dcm2niix and give the NIfTI file."
        )
        raise InputError(msg)
    return headers, multiframe


def _left_out(multiframe: list[Any]) -> str:
    """What was found and cannot be read, in one line; empty if nothing was."""
    if not multiframe:
        return ""
    told = sorted({f"series {h.get('SeriesNumber') or 0} {str(h.get('SeriesDescription', ''))!r}" for h in multiframe})
    return (
        f"Left out, because enhanced (multi-frame) DICOM is not read: {', '.join(told)}."
        " Convert it with dcm2niix and give the NIfTI file."
    )


def _check_one_patient(folder: Path, headers: list[tuple[Path, Any]]) -> None:
    patients: dict[tuple[str, ...], Path] = {}
    for path, header in headers:
        named = tuple(str(header.get(key, "")) for key in ("PatientID", "PatientName", "PatientBirthDate"))
        patients.setdefault(named, path)
    if len(patients) > 1:
        files = " and ".join(str(path.relative_to(folder)) for path in list(patients.values())[:2])
        msg = (
            f"Wanted one patient's DICOM, but {folder} holds {len(patients)} patients' (for example {files})."
            " Give each patient's folder by itself."
        )
        raise InputError(msg)


def _grouped(headers: list[tuple[Path, Any]]) -> list[Series]:
    by_uid: dict[str, list[tuple[Path, Any]]] = {}
    for path, header in headers:
        by_uid.setdefault(str(header.SeriesInstanceUID), []).append((path, header))
    return sorted((_series(uid, slices) for uid, slices in by_uid.items()), key=lambda one: (one.number, one.uid))


def _series(uid: str, slices: list[tuple[Path, Any]]) -> Series:
    first = slices[0][1]
    along_row, along_column = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(along_row, along_column)
    placed = sorted(
        (float(normal @ np.array(header.ImagePositionPatient, dtype=float)), path) for path, header in slices
    )

    def time_ms(name: str) -> float:
        value = first.get(name)
        return float("nan") if value in (None, "") else float(value)

    kinds = {str(kind).upper() for kind in first.get("ImageType", [])}
    return Series(
        uid=uid,
        number=int(first.get("SeriesNumber") or 0),
        description=str(first.get("SeriesDescription", "")),
        files=tuple(path for _, path in placed),
        positions_mm=tuple(position for position, _ in placed),
        echo_time_ms=time_ms("EchoTime"),
        repetition_time_ms=time_ms("RepetitionTime"),
        inversion_time_ms=time_ms("InversionTime"),
        has_contrast=bool(str(first.get("ContrastBolusAgent", "")).strip()),
        is_localizer="LOCALIZER" in kinds or str(first.get("Modality", "MR")) != "MR",
    )


def _is_flair(one: Series) -> str:
    """Why a series is a FLAIR; empty if it is none."""
    if one.is_localizer or len(one.files) < MIN_SLICES:
        return ""
    inverted = FLAIR_INVERSION_MS[0] <= one.inversion_time_ms <= FLAIR_INVERSION_MS[1]
    if inverted and one.echo_time_ms >= FLAIR_MIN_ECHO_MS:
        return "a long inversion time and a long echo time"
    if FLAIR_WORDS.search(one.description) and not one.echo_time_ms < FLAIR_MIN_ECHO_MS:
        return "its description"  # what is called T1 FLAIR has a short echo time
    return ""


def _is_t1(one: Series) -> str:
    """Why a series is a T1; empty if it is none."""
    if one.is_localizer or len(one.files) < MIN_SLICES or _is_flair(one):
        return ""
    inverted = T1_INVERSION_MS[0] <= one.inversion_time_ms <= T1_INVERSION_MS[1]
    if one.echo_time_ms <= T1_MAX_ECHO_MS and (inverted or one.repetition_time_ms <= T1_MAX_REPETITION_MS):
        return "a short echo time and a short repetition or inversion time"
    if T1_WORDS.search(one.description) and not one.echo_time_ms > T1_MAX_ECHO_MS:
        return "its description"
    return ""


def _choose_flair(folder: Path, series: list[Series], number: int | None, left_out: str = "") -> tuple[Series, str]:
    if number is not None:
        one = _by_number(series, number)
        return one, f"FLAIR: {one.describe()}, as asked for."
    found = [(one, why) for one in series if (why := _is_flair(one))]
    told = "; ".join(one.describe() for one in series)
    if not found:
        msg = f"Wanted a FLAIR series in {folder}, found none among: {told}. Name one with --flair-series NUMBER."
        msg += f" {left_out}" if left_out else ""
        raise InputError(msg)
    if len(found) > 1:
        both = "; ".join(one.describe() for one, _ in found)
        msg = f"Wanted one FLAIR series in {folder}, found {len(found)}: {both}. Name one with --flair-series NUMBER."
        raise InputError(msg)
    one, why = found[0]
    return one, f"FLAIR: {one.describe()}, by {why}."


def _choose_t1(series: list[Series], number: int | None) -> tuple[Series | None, str]:
    if number is not None:
        one = _by_number(series, number)
        return one, f"T1: {one.describe()}, as asked for."
    found = [(one, why) for one in series if (why := _is_t1(one))]
    if not found:
        return None, "T1: none found; the FLAIR is prepared alone."
    # Contrast agent lights up vessels and tumours; more slices are thinner ones.
    one, why = min(found, key=lambda pair: (pair[0].has_contrast, -len(pair[0].files), pair[0].number))
    others = f" ({len(found) - 1} more: with contrast, or fewer slices)" if len(found) > 1 else ""
    return one, f"T1: {one.describe()}, by {why}{others}."


def _by_number(series: list[Series], number: int) -> Series:
    found = [one for one in series if one.number == number]
    if len(found) != 1:
        msg = (
            f"Wanted one series with the number {number}, found {len(found)}."
            f" There are: {'; '.join(one.describe() for one in series)}."
        )
        raise InputError(msg)
    return found[0]


def _check_slices(one: Series) -> None:
    """Refuse a series with a slice missing or twice in one place."""
    steps = np.diff(one.positions_mm)
    usual = float(np.median(steps)) if steps.size else 0.0
    if usual <= 1e-3 or (steps < usual / 2).any():
        msg = f"Wanted one slice at each place, but {one.describe()} has several in one place. Split the series."
        raise InputError(msg)
    if (steps > GAP_FACTOR * usual).any():
        where = int(np.argmax(steps))
        missing = round(float(steps[where]) / usual) - 1
        msg = (
            f"{one.describe()} has {missing} slice(s) missing between {one.files[where].name} and"
            f" {one.files[where + 1].name} ({steps[where]:.2f} mm apart, usually {usual:.2f} mm). Export it again."
        )
        raise InputError(msg)


def _convert(one: Series, work: Path, name: str) -> Path:
    hashed = hashlib.sha256()
    for file in one.files:
        hashed.update(file.read_bytes())
    path = prepare_folder(work / f"dicom-{hashed.hexdigest()[:16]}") / f"{name}.nii.gz"
    if path.exists():
        return path
    with tempfile.TemporaryDirectory() as place:
        slices, made = Path(place) / "slices", Path(place) / "made"
        slices.mkdir()
        made.mkdir()
        for index, file in enumerate(one.files):
            shutil.copyfile(file, slices / f"{index:05d}.dcm")
        done = subprocess.run(
            [_dcm2niix(), "-b", "n", "-z", "n", "-f", "image", "-o", str(made), str(slices)],
            capture_output=True,
            text=True,
            errors="replace",
        )
        images = sorted(made.glob("*.nii"))
        if done.returncode != 0 or len(images) != 1:
            msg = f"dcm2niix made {len(images)} images of {one.describe()}, wanted one. Convert it by hand."
            raise InputError(msg)
        try:
            # Written anew by our own writer: a header has room for names and comments, and ours are empty.
            write_volume(path, read_volume(images[0]))
        except ImageError as error:
            msg = f"{one.describe()} cannot be used: {str(error).replace(str(images[0]), 'its image')}"
            raise InputError(msg) from error
    return path


def _dcm2niix() -> str:
    try:
        import dcm2niix
    except ModuleNotFoundError as error:
        what = "Reading DICOM"
        raise MissingExtraError(what, "dicom") from error
    return str(dcm2niix.bin)


def _on_slices(mask: Mask, space: Space) -> NDArray[np.bool_]:
    """The mask on the slices' own grid (column, row, slice): nearest voxel, which is exact on the same grid."""
    to_mask = np.linalg.inv(mask.space.vox_to_ras) @ space.vox_to_ras
    places = np.moveaxis(np.indices(space.shape), 0, -1) @ to_mask[:3, :3].T + to_mask[:3, 3]
    nearest = np.rint(places).astype(int)
    within = ((nearest >= 0) & (nearest < np.array(mask.space.shape))).all(axis=-1)
    found = np.zeros(space.shape, np.bool_)
    found[within] = mask.array[tuple(nearest[within].T)]
    return found


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("flairline")
    except PackageNotFoundError:
        return "unknown"
