"""What goes into the verbs, and what the library wants of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from flairline.errors import InputError
from flairline.types import Case

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage
    from numpy.typing import ArrayLike

    from flairline.postprocess.threshold import ThresholdRule

    Image = Path | str | SpatialImage | tuple[ArrayLike, ArrayLike]
    """A file (NIfTI), an image of nibabel, or an array (x, y, z) and its 4x4 affine from voxels to RAS mm."""

    Cases = Path | str | Sequence[Case]
    """A table of cases (CSV), or cases."""


def recipe_name(name: str, model: Path | str | None) -> str:
    """METHOD, or METHOD=MODEL. Raises `InputError` where two models are named."""
    if model is None:
        return name
    if "=" in name:
        msg = f"The method {name!r} names a model already. Leave out model={str(model)!r}."
        raise InputError(msg)
    return f"{name}={model}"


def threshold_rule(threshold: float | str | ThresholdRule | None) -> ThresholdRule | None:
    """The rule of a value, of a text as on the command line, or as it is. Raises `InputError`."""
    from flairline.postprocess.threshold import parse_threshold

    if isinstance(threshold, str):
        return parse_threshold(threshold)
    if isinstance(threshold, (float, Real)):  # Real: numpy's numbers as well
        return parse_threshold(str(float(threshold)))
    return threshold


def nothing_beside_a_scan(*images: object) -> None:
    """Raise `InputError` if there are images beside a `Scan`, which has its own."""
    if any(image is not None for image in images):
        msg = "Wanted a Scan or images, got both. A Scan has its own T1, T2 and brain: leave the others out."
        raise InputError(msg)


def image_file(image: Any, folder: Path, role: str) -> Path:
    """The file of an image; what is in memory is written into `folder`, so that it is read as any file is.

    Raises
    ------
    InputError
        It is no image, or its array or affine has another shape than wanted.
    """
    import nibabel as nib
    import numpy as np
    from nibabel.spatialimages import SpatialImage

    if isinstance(image, (str, Path)):
        return Path(image)
    path = folder / f"{role}.nii"
    if isinstance(image, SpatialImage):
        nib.save(nib.Nifti1Image.from_image(image), path)
        return path
    try:
        array, affine = (np.asarray(part) for part in image)
    except (TypeError, ValueError) as error:
        msg = f"Wanted {role} as a path, an image of nibabel, or (array, affine), found {type(image).__name__}."
        raise InputError(msg) from error
    if affine.shape != (4, 4) or array.ndim != 3:
        msg = (
            f"Wanted {role} as an array (x, y, z) and a 4x4 affine, found shapes {array.shape} and {affine.shape}."
            " Give the matrix from voxels to RAS mm."
        )
        raise InputError(msg)
    stored = array.astype(np.uint8 if array.dtype == np.bool_ else np.float32)
    nib.save(nib.Nifti1Image(stored, affine.astype(float)), path)
    return path


def cases_of(cases: Cases) -> list[Case]:
    """Cases as they are, or those of a table. Raises `TableError`."""
    from flairline.cases.table import CaseTable

    return CaseTable(Path(cases)).cases() if isinstance(cases, (str, Path)) else list(cases)


def healthy_cases(scans: Cases | Sequence[Path]) -> list[Case]:
    """Cases to learn from; FLAIRs without a table are named by their files."""
    from flairline.cases.names import cases_from_files, named

    if isinstance(scans, (str, Path)):
        return cases_of(scans)
    cases = [scan for scan in scans if isinstance(scan, Case)]
    files = [Path(scan) for scan in scans if not isinstance(scan, Case)]
    return [*cases, *named(cases_from_files(files))]


def label_map_files(maps: Cases | Sequence[Path]) -> list[Path]:
    """Paths of label maps. Raises `InputError` if a table or cases were given instead."""
    if isinstance(maps, (str, Path)) or any(isinstance(file, Case) for file in maps):
        msg = "Wanted a list of label maps' files, found a table or cases. Give the paths of the label maps."
        raise InputError(msg)
    return [Path(file) for file in maps if not isinstance(file, Case)]


@contextmanager
def folder_or_scratch(out: Path | str | None) -> Iterator[Path]:
    """The folder to write to; one that is gone afterwards where nothing shall stay."""
    from flairline.io.files import prepare_folder

    if out is not None:
        yield prepare_folder(Path(out))
        return
    with TemporaryDirectory() as scratch:
        yield Path(scratch)
