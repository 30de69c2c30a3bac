"""The chosen series as NIfTI files. dcm2niix converts; where its result lies is checked by the headers."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flairline.errors import ImageError, InputError, MissingExtraError
from flairline.io.dicom.choose import Study
from flairline.io.dicom.grids import evened, turned_bright, with_own_scales
from flairline.io.dicom.headers import DEFLATED, RESCALE, whole
from flairline.io.dicom.series import Series
from flairline.io.files import prepare_folder
from flairline.io.nifti import read_volume, write_volume
from flairline.types import Space, Volume

VERSION = 3
"""Goes up when a series is converted in another way, so that what earlier versions kept is not taken for it."""
PLACE_TOLERANCE = 0.5
"""An image lies where its headers say if no corner is further off than this share of its smallest voxel side."""

SAID = re.compile(r"\s*(error|warning|unable|unsupported|no valid|file ?size)", re.IGNORECASE)
BESIDE_THE_POINT = re.compile(r"Patient Position|Unable to determine manufacturer|protocol name|new: please validate")
"""What dcm2niix warns of in files that it converts well."""


@dataclass(frozen=True)
class Converted:
    """The chosen series as NIfTI files. `study` lacks a T1 that could not be converted, and says so."""

    study: Study
    flair: Path
    t1: Path | None


def convert_study(study: Study, work: Path) -> Converted:
    """Convert the chosen series into `work`, under a hash of what they hold; what is there already is used again.

    Raises
    ------
    MissingExtraError
        dcm2niix is not installed.
    InputError
        dcm2niix could not convert the FLAIR, or its image lies elsewhere than the headers say.
    """
    flair = _convert(study.flair, work, "flair")
    if study.t1 is None:
        return Converted(study, flair, None)
    try:
        return Converted(study, flair, _convert(study.t1, work, "t1"))
    except InputError as error:
        note = f"T1: left out, the FLAIR is prepared alone. {error}"
        return Converted(replace(study, t1=None, reasons=(*study.reasons, note)), flair, None)


def _convert(series: Series, work: Path, name: str) -> Path:
    path = prepare_folder(work / f"dicom-{_key(series)}") / f"{name}.nii.gz"
    if path.exists():
        return path
    with tempfile.TemporaryDirectory() as place:
        slices = Path(place) / "slices"
        slices.mkdir()
        names = {f"{index:05d}.dcm": file for index, file in enumerate(series.files)}
        for short, file in names.items():
            _copy(series, file, slices / short)
        # Merging is for slices of one stack whose echo time or name varies, which dcm2niix would part.
        for further in ((), ("-m", "y")):
            made = Path(place) / f"made{len(further)}"
            made.mkdir()
            printed = _run(slices, made, (*further, *(("-p", "n") if series.is_multiframe else ())))
            images = sorted(made.glob("*.nii"))
            volumes = _read(series, images)
            fitting = [volume for volume in volumes if _lies_there(volume.space, series.space)]
            if not fitting and (stacked := _stacked(volumes)) is not None and _lies_there(stacked.space, series.space):
                fitting = [stacked]
            if not fitting and len(volumes) == 1 and (even := evened(volumes[0], series)) is not None:
                fitting = [even]
            if len(fitting) == 1:
                # Written anew by our own writer: a header has room for names and comments, and ours are empty.
                write_volume(path, _as_meant(fitting[0], series))
                return path
        raise InputError(_refusal(series, volumes, len(fitting), _complaints(printed, names)))


def _as_meant(volume: Volume, series: Series) -> Volume:
    """The converted image with the grey values that its headers say."""
    scaled = with_own_scales(volume, series) if series.has_own_scales else volume
    return turned_bright(scaled) if series.is_inverted else scaled


def _key(series: Series) -> str:
    """What a conversion depends on: the files, which of their frames were chosen, and how it is done."""
    hashed = hashlib.sha256(f"{VERSION}".encode())
    for file in series.files:
        hashed.update(file.read_bytes())
    if series.is_multiframe:
        hashed.update(repr([frame.index for frame in series.frames]).encode())
    return hashed.hexdigest()[:16]


def _copy(series: Series, file: Path, target: Path) -> None:
    """Copy a file of a series, as dcm2niix can read it.

    It has the preamble that DICOM asks for, is not deflated, and has only those frames that were chosen, without
    their scales where these differ.
    """
    frames = [frame for frame in series.frames if frame.header.file == file]
    header = frames[0].header
    some = header.is_multiframe and len(frames) < _count_frames(file)
    if not header.has_preamble or header.is_deflated or some or series.has_own_scales:
        _copy_part(file, target, sorted(frame.index for frame in frames), as_stored=series.has_own_scales)
    else:
        shutil.copyfile(file, target)


def _count_frames(file: Path) -> int:
    import pydicom

    return whole(pydicom.dcmread(file, stop_before_pixels=True, force=True), "NumberOfFrames")


def _stacked(volumes: Sequence[Volume]) -> Volume | None:
    """Volumes that continue each other as one: a series may lie in several files; None where they do not."""
    if len(volumes) < 2:
        return None
    apart = np.ptp([volume.space.vox_to_ras[:3, 3] for volume in volumes], axis=0)
    axis = int(np.argmax(np.abs(np.linalg.inv(volumes[0].space.vox_to_ras[:3, :3]) @ apart)))
    step_mm = volumes[0].space.vox_to_ras[:3, axis]
    ordered = sorted(volumes, key=lambda volume: float(volume.space.vox_to_ras[:3, 3] @ step_mm))
    first, tolerance_mm = ordered[0].space, PLACE_TOLERANCE * min(volumes[0].space.spacing_mm)
    height = 0
    for volume in ordered:
        begins_mm = first.vox_to_ras[:3, 3] + height * step_mm
        sides = np.delete(volume.space.shape, axis)
        if (
            not np.array_equal(sides, np.delete(first.shape, axis))
            or not np.allclose(volume.space.vox_to_ras[:3, :3], first.vox_to_ras[:3, :3], atol=1e-3)
            or np.linalg.norm(volume.space.vox_to_ras[:3, 3] - begins_mm) > tolerance_mm
        ):
            return None
        height += volume.space.shape[axis]
    joined = np.concatenate([volume.array for volume in ordered], axis=axis)
    x, y, z = joined.shape
    return Volume(joined, Space((x, y, z), first.vox_to_ras, first.name))


def _run(slices: Path, made: Path, options: Sequence[str]) -> str:
    done = subprocess.run(
        [_dcm2niix(), "-b", "n", "-z", "n", *options, "-f", "image", "-o", str(made), str(slices)],
        capture_output=True,
        text=True,
        errors="replace",
    )
    return done.stdout + done.stderr


def _read(series: Series, images: Sequence[Path]) -> list[Volume]:
    """The images that dcm2niix made; those that are none are left out, unless there is but one."""
    volumes = []
    for image in images:
        try:
            volumes.append(read_volume(image))
        except ImageError as error:
            if len(images) == 1:
                msg = f"{series.describe()} cannot be used: {str(error).replace(str(image), 'its image')}"
                raise InputError(msg) from error
    return volumes


def _lies_there(space: Space, wanted: Space) -> bool:
    """Whether a grid has its corners at those of the wanted one, whichever way its axes run."""
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    ends = np.maximum(np.array(wanted.shape) - 1, 0)
    there = (corners * [*(np.array(space.shape) - 1), 1]) @ space.vox_to_ras.T
    as_voxels = (there @ np.linalg.inv(wanted.vox_to_ras).T)[:, :3]
    nearest = np.where(as_voxels > ends / 2, ends, 0)
    back = np.c_[nearest, np.ones(len(nearest))] @ wanted.vox_to_ras.T
    apart_mm = np.linalg.norm((there - back)[:, :3], axis=1).max()
    reached = len({tuple(corner) for corner in nearest.tolist()})
    return (
        sorted(space.shape) == sorted(wanted.shape)
        and bool(apart_mm <= PLACE_TOLERANCE * min(wanted.spacing_mm))
        and reached == int(np.prod(np.where(ends > 0, 2, 1)))
    )


def _refusal(series: Series, volumes: Sequence[Volume], fitting: int, complaints: str) -> str:
    if volumes and not fitting and math.prod(volumes[0].space.shape) != math.prod(series.space.shape):
        what = (
            f"dcm2niix made an image of {volumes[0].space.describe()} of {series.describe()}: it did not take all"
            " of its slices."
        )
    elif volumes and not fitting:
        what = (
            f"dcm2niix put {series.describe()} elsewhere than its headers say (it has"
            f" {volumes[0].space.describe()}, wanted {series.space.describe()})."
        )
    else:
        what = (
            f"dcm2niix made {len(volumes)} images of {series.describe()}, wanted one (files {series.files[0].name} to"
            f" {series.files[-1].name})."
        )
    return " ".join(filter(None, [what, complaints, "Convert it by hand and give the NIfTI file."]))


def _complaints(printed: str, names: Mapping[str, Path]) -> str:
    """What dcm2niix says of its refusal, with the names of the files as they were given."""
    lines: dict[str, None] = {}
    for line in printed.splitlines():
        if SAID.match(line) and not BESIDE_THE_POINT.search(line):
            lines[re.sub(r"\S*?(\d{5}\.dcm)", lambda found: _given(found[1], names), line.strip()).rstrip(".")] = None
    worst_first = sorted(lines, key=lambda line: not line.lower().startswith("error"))
    return f"It says: {' / '.join(worst_first[:3])}." if lines else ""


def _given(short: str, names: Mapping[str, Path]) -> str:
    return names[short].name if short in names else short


def _copy_part(file: Path, target: Path, indices: Sequence[int], as_stored: bool) -> None:
    """The same file with the preamble that DICOM asks for, a multi-frame one with the frames of these indices.

    `as_stored` leaves out how its values are scaled.

    Raises
    ------
    InputError
        It cannot be written so.
    """
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = pydicom.dcmread(file, force=True)
            if "TransferSyntaxUID" not in image.file_meta:
                implicit = image.original_encoding[0]
                image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            if image.file_meta.TransferSyntaxUID == DEFLATED:
                image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            if "PerFrameFunctionalGroupsSequence" in image:
                _keep_frames(image, indices)
            if as_stored:
                _drop_scales(image)
            image.save_as(target, enforce_file_format=True)
    except Exception as error:  # pydicom raises many types on a damaged file
        msg = f"{file} lacks its preamble or has other frames beside the wanted, and cannot be mended ({error})."
        raise InputError(msg) from error


def _keep_frames(image: Any, indices: Sequence[int]) -> None:
    """Leave only the frames of these indices in a multi-frame data set."""
    from pydicom.encaps import encapsulate, generate_frames
    from pydicom.uid import UID

    groups, count = image.PerFrameFunctionalGroupsSequence, int(image.NumberOfFrames)
    image.PerFrameFunctionalGroupsSequence = [groups[index] for index in indices]
    image.NumberOfFrames = len(indices)
    if UID(image.file_meta.TransferSyntaxUID).is_compressed:
        frames = list(generate_frames(image.PixelData, number_of_frames=count))
        image.PixelData = encapsulate([frames[index] for index in indices])
        image["PixelData"].is_undefined_length = True
    else:
        each = len(image.PixelData) // count
        image.PixelData = b"".join(image.PixelData[each * index : each * (index + 1)] for index in indices)


def _drop_scales(image: Any) -> None:
    """Leave out how the stored values of a multi-frame file are scaled, wherever it says so."""
    shared = image.get("SharedFunctionalGroupsSequence") or []
    for level in (image, *shared, *image.PerFrameFunctionalGroupsSequence):
        for keyword in ("PixelValueTransformationSequence", *RESCALE):
            if keyword in level:
                delattr(level, keyword)


def _dcm2niix() -> str:
    try:
        import dcm2niix
    except ModuleNotFoundError as error:
        what = "Reading DICOM"
        raise MissingExtraError(what, "dicom") from error
    return str(dcm2niix.bin)
