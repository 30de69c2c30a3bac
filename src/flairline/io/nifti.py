"""NIfTI in and out. The only place that reorients: arrays are RAS+ inside, files keep their own axes.

Reading accepts NIfTI-1 and -2 as one file (.nii, .nii.gz), any orientation, byte order, scl_slope and further axes of
length one. Writing gives uint8 masks without scaling and float32 scores, on the grid the input had on disk, with
qform and sform set. The same array gives the same bytes: no time stamp goes into the gzip header.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from isal import igzip
from isal.isal_zlib import IsalError
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import NDArray

from flairline.errors import ImageError
from flairline.io.files import write_bytes
from flairline.io.foreign import what_instead
from flairline.io.headers import VOXEL_MM, choose_affine
from flairline.io.masks import marked, marking_note
from flairline.io.quiet import quiet
from flairline.types import Mask, Space, StoredGrid, Volume

_IsalError: type[Exception] = IsalError  # type: ignore[assignment]  # isal ships an instance annotation

MAX_SHEAR = 1e-3
"""Largest accepted cosine between two voxel axes; float32 headers of oblique scans stay below 1e-5."""
ONE_FILE = {348: (b"n+1\0", 344, "f4", 108, 352), 540: (b"n+2\0", 4, "i8", 168, 544)}
"""Of a NIfTI in one file, by its header's size: magic and where it stands, the voxels' offset (type and where it
stands), and the smallest one."""


def read_volume(path: Path | str) -> Volume:
    """Read a three-dimensional image as float32 in RAS+.

    Parameters
    ----------
    path
        A .nii or .nii.gz file.

    Returns
    -------
    Volume
        Scaled by scl_slope and scl_inter; `space.stored` remembers how it lay on disk.

    Raises
    ------
    ImageError
        The file is missing, empty, cut off, no NIfTI, not three-dimensional, has colours, a single voxel, or a
        sheared, singular or absurd affine.
    """
    array, space = _read(Path(path))
    with np.errstate(over="ignore"):
        volume = Volume(np.ascontiguousarray(array, dtype=np.float32), space)
    if array.dtype.itemsize > 4 and (lost := np.isinf(volume.array) & np.isfinite(array)).any():
        msg = f"{path} has values up to {np.abs(array[lost]).max():.3g}; wanted them below 3e38. Scale them."
        raise ImageError(msg)
    return volume


def read_mask(path: Path | str) -> Mask:
    """Read a mask in RAS+: every voxel above zero is set, where it has shares of voxels every one from one half.

    Raises `ImageError` as `read_volume` does, and where fractions are no shares of voxels.
    """
    array, space = _read(Path(path))
    mask = Mask(np.ascontiguousarray(marked(array, str(path))), space)
    decided = marking_note(array, "set")
    if not decided or space.stored is None:
        return mask
    note = " ".join(filter(None, [space.stored.note, decided]))
    return Mask(mask.array, replace(space, stored=replace(space.stored, note=note)))


def read_space(path: Path | str) -> Space:
    """The grid of an image. Raises `ImageError` as `read_volume` does."""
    return _read(Path(path))[1]


def write_mask(path: Path, mask: Mask) -> None:
    """Write a mask as uint8 without scaling, on the grid its scan had on disk. Raises `OutputError`."""
    _write(path, mask.array.astype(np.uint8), mask.space)


def write_labels(path: Path, labels: NDArray[np.integer], space: Space) -> None:
    """Write numbered regions as int32 without scaling. Raises `OutputError`."""
    _write(path, labels.astype(np.int32), space)


def write_counts(path: Path, image: NDArray[np.integer], space: Space) -> None:
    """Write an image of whole numbers (x, y, z) as int16 without scaling, as scanners do. Raises `OutputError`."""
    _write(path, image.astype(np.int16), space)


def write_volume(path: Path, volume: Volume) -> None:
    """Write an image or a score as float32, on the grid its scan had on disk. Raises `OutputError`."""
    _write(path, volume.array.astype(np.float32), volume.space)


@quiet("nibabel")  # it says what it mends, of which file it does not
def _read(path: Path) -> tuple[NDArray[Any], Space]:
    content = _content(path)
    image = _parse(path, content)
    shape = image.shape[:3] if math.prod(image.shape[3:]) == 1 else image.shape
    if len(shape) != 3:
        raise ImageError(_wrong_dimensions(path, image.shape))
    if min(shape) < 1 or math.prod(shape) == 1:
        msg = f"Wanted a volume, but {path} has the shape {_by(image.shape)}, a single voxel or none."
        raise ImageError(msg)
    if image.get_data_dtype().fields is not None:
        msg = f"Wanted grey values, but {path} has colours ({image.get_data_dtype()}). Convert it to one channel."
        raise ImageError(msg)
    if np.issubdtype(image.get_data_dtype(), np.complexfloating):
        msg = f"Wanted magnitudes, but {path} has complex values. Save the magnitude image."
        raise ImageError(msg)
    orientation = choose_affine(path, image.header)
    vox_to_ras = _checked_affine(path, orientation.vox_to_ras)
    try:
        # A damaged header may promise terabytes, which must not be asked of the memory first.
        if image.dataobj.offset + math.prod(shape) * image.get_data_dtype().itemsize > len(content):
            raise EOFError
        stored_array = np.asanyarray(image.dataobj).reshape(shape)
    except (OSError, ValueError, EOFError, OverflowError) as error:
        msg = f"{path} is cut off or damaged: its header promises {_by(image.shape)} voxels that are not there."
        raise ImageError(msg) from error
    to_ras = io_orientation(vox_to_ras)
    x, y, z = (int(side) for side in shape)
    stored = StoredGrid(
        shape=(x, y, z),
        vox_to_ras=vox_to_ras,
        to_ras=to_ras,
        qform_code=int(image.header["qform_code"]),
        sform_code=int(image.header["sform_code"]),
        note=orientation.note,
        sides_known=orientation.sides_known,
    )
    array = apply_orientation(stored_array, to_ras)  # the file's axes -> (x, y, z) in RAS+
    space = Space(tuple(array.shape), vox_to_ras @ inv_ornt_aff(to_ras, shape), "native", stored)
    return array, space


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            msg = f"Wanted a NIfTI file, but {path} is a folder. Name the file inside it (for example flair.nii.gz)."
            raise ImageError(msg)
        if path.exists() and not path.is_file():
            msg = f"Wanted a NIfTI file, but {path} is a pipe or a device, which can be read but once. Name a file."
            raise ImageError(msg)
        content = path.read_bytes()
        if not content:
            msg = f"{path} is empty (0 bytes). Copy or export it again."
            raise ImageError(msg)
        return igzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except FileNotFoundError as error:
        msg = f"No such file: {path}. Check the path."
        if path.is_symlink():
            msg = f"{path} is a link whose content is not there. Fetch it (for example datalad get, git annex get)."
        raise ImageError(msg) from error
    except (EOFError, zlib.error, _IsalError, igzip.BadGzipFile) as error:
        msg = f"{path} is cut off or damaged: its compressed data cannot be read to their end. Copy it again."
        raise ImageError(msg) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        msg = f"Cannot read {path}: {getattr(error, 'strerror', None) or error}."
        raise ImageError(msg) from error


def _from_first_voxel(path: Path, content: bytes, order: Literal["little", "big"]) -> bytes:
    """The file with its voxels' offset behind the header and its extension: one that lies within them is unset.

    Raises
    ------
    ImageError
        The file's length leaves open where the voxels begin.
    """
    magic, magic_at, kind, offset_at, smallest = ONE_FILE[int.from_bytes(content[:4], order)]
    if content[magic_at : magic_at + 4] != magic or len(content) < smallest:
        return content
    dtype = np.dtype(kind).newbyteorder("<" if order == "little" else ">")
    offset = np.frombuffer(content, dtype, 1, offset_at)[0]
    begin = smallest
    if offset == smallest and content[smallest - 4]:  # it says that an extension follows, which has no room
        begin += max(0, int.from_bytes(content[smallest : smallest + 4], order, signed=True))
    if not offset < smallest and begin == smallest:
        return content
    field = np.array([begin], dtype).tobytes()
    mended = content[:offset_at] + field + content[offset_at + len(field) :]
    image = _from_bytes(path, content if begin > smallest else mended, order)
    wanted = begin + math.prod(image.shape) * image.get_data_dtype().itemsize
    if begin > smallest:
        return mended if wanted == len(content) else content
    if wanted != len(content):
        msg = (
            f"{path} says that its voxels begin at byte {offset:g}, inside its header; wanted {smallest} or more, and"
            f" a length of {wanted} bytes (it has {len(content)}). Export it again."
        )
        raise ImageError(msg)
    return mended


def _parse(path: Path, content: bytes) -> Any:
    """A nibabel image of either NIfTI version, by the header's own size field, in either byte order."""
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        if int.from_bytes(content[:4], order) not in ONE_FILE:
            continue
        if content[344:348] == b"ni1\0":
            msg = f"{path} is the header of a .hdr/.img pair. Convert it to one .nii.gz file."
            raise ImageError(msg)
        if int.from_bytes(content[:4], order) == 348 and content[344:348] == bytes(4):
            msg = f"{path} is the header of an Analyze image, which says no side. Convert it to one .nii.gz file."
            raise ImageError(msg)
        return _from_bytes(path, _from_first_voxel(path, content, order), order)
    if content[:200].find(b"annex/objects") >= 0:
        msg = f"{path} is a pointer of git annex without its content. Fetch it (datalad get, git annex get)."
        raise ImageError(msg)
    what, advice = what_instead(content, path.suffix)
    instead = f"{what}. {advice}" if what else "none. Convert it (dcm2niix, mri_convert)."
    msg = f"Wanted a NIfTI file (.nii, .nii.gz), but {path} is {instead}"
    raise ImageError(msg)


class _Header1(nib.Nifti1Header):
    """nibabel refuses to open a file whose quaternion is too long for it; which affine holds is chosen by `headers`."""

    def get_best_affine(self) -> NDArray[np.float64]:
        """An affine that any header has."""
        return self.get_base_affine()


class _Header2(nib.Nifti2Header):
    """As `_Header1`."""

    def get_best_affine(self) -> NDArray[np.float64]:
        """An affine that any header has."""
        return self.get_base_affine()


class _Image1(nib.Nifti1Image):
    header_class = _Header1


class _Image2(nib.Nifti2Image):
    header_class = _Header2


def _from_bytes(path: Path, content: bytes, order: Literal["little", "big"]) -> Any:
    kind = {348: _Image1, 540: _Image2}[int.from_bytes(content[:4], order)]
    try:
        image = kind.from_bytes(content)
        image.get_data_dtype()
        handedness, *sides = kind.header_class(content[: kind.header_class.sizeof_hdr], check=False)["pixdim"][:4]
        # As the NIfTI library and ITK have it: what is below zero is -1. nibabel makes one of all but -1.
        image.header["pixdim"][0] = -1 if handedness < 0 else 1
        if not (np.isfinite(sides) & (np.array(sides) != 0)).all():
            image.header["pixdim"][1:4] = np.nan  # nibabel has put one millimetre there, which nobody said
        return image
    except Exception as error:
        # nibabel raises many types on a damaged header; all mean the same to the user.
        msg = f"{path} has a damaged NIfTI header ({error}). Export it again."
        raise ImageError(msg) from error


def _checked_affine(path: Path, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine, refused if it cannot belong to a scan of a head."""
    linear = affine[:3, :3]
    sides = np.linalg.norm(linear, axis=0)
    rows = "; ".join(" ".join(f"{value:.4g}" for value in row) for row in affine[:3])
    if not np.isfinite(affine).all() or (sides < 1e-6).any() or abs(np.linalg.det(linear / sides)) < 1e-3:
        msg = f"The affine of {path} is singular ([{rows}]). Repair its qform and sform."
        raise ImageError(msg)
    if (sides < VOXEL_MM[0]).any() or (sides > VOXEL_MM[1]).any():
        sizes = " x ".join(f"{side:.4g}" for side in sides)
        msg = f"{path} has voxels of {sizes} mm; wanted sides from {VOXEL_MM[0]} to {VOXEL_MM[1]} mm. Repair it."
        raise ImageError(msg)
    cosines = np.abs((linear / sides).T @ (linear / sides) - np.eye(3))
    if cosines.max() > MAX_SHEAR:
        msg = (
            f"The affine of {path} is sheared ([{rows}], axes differ from right angles by a cosine of"
            f" {cosines.max():.3g}). Resample it to a grid with right angles."
        )
        raise ImageError(msg)
    return affine


def _wrong_dimensions(path: Path, shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return f"Wanted one volume, but {path} has {shape[3]} ({_by(shape)}). Save the one to use as its own file."
    return f"Wanted a three-dimensional volume, but {path} is {len(shape)}-dimensional ({_by(shape)})."


def _write(path: Path, array: NDArray[Any], space: Space) -> None:
    affine, codes = space.vox_to_ras, (1, 1)
    if space.stored is not None:
        # RAS+ -> the file's own axes
        back = ornt_transform(io_orientation(space.vox_to_ras), io_orientation(space.stored.vox_to_ras))
        array = apply_orientation(array, back)
        affine = space.stored.vox_to_ras
        if space.stored.sides_known:
            codes = (space.stored.qform_code or 1, space.stored.sform_code or 1)
        else:
            codes = (0, 0)  # results know no more of left and right than their scan
    image = nib.Nifti1Image(np.asfortranarray(array), affine)
    image.set_qform(affine, code=codes[0])
    image.set_sform(affine, code=codes[1])
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    write_bytes(path, igzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
