"""Which of a NIfTI header's two affines holds, by one published table.

The table is that of fMRIPrep's header check (nipreps, github.com/nipreps/fmriprep/issues/873; niworkflows
`SanitizeImage`):

=============== ============== ============== ============== ===================================
qform is valid  qform_code > 0 sform_code > 0 they agree     what holds
=============== ============== ============== ============== ===================================
yes             yes            yes            yes            either
yes             yes            no             any            the qform
yes             yes            yes            no             the qform, which the scanner wrote
any             no             yes            any            the sform
no              yes            yes            any            the sform
any             no             no             any            the header's sizes alone, and a warning
no              any            no             any            the header's sizes alone, and a warning
=============== ============== ============== ============== ===================================

Three rows of our own. Where both have a code and one mirrors the other, left and right cannot be known, and the file is
refused. A quaternion longer than one by a rounding error is as long as one, as ITK has it. Lengths in metres or
micrometres are brought to millimetres where that gives voxels of a head; a wrong unit is passed over, and said. A qform
whose voxels have no size (a pixdim of zero, or none) is not valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from flairline.errors import ImageError

VOXEL_MM = (0.05, 50.0)
"""Voxel sides outside this range are no MRI of a head but a broken header."""
UNITS_MM = {1: ("metres", 1000.0), 3: ("micrometres", 0.001)}
"""NIfTI's codes of units of length other than the millimetre."""
QUATERNION_ROUNDING = 1e-4
"""A quaternion's square may exceed one by this; more is no rounding."""
AGREE_MM = 5e-2
"""Two affines agree if no voxel corner lies further apart than this: headers hold float32 and rounded quaternions."""


@dataclass(frozen=True, eq=False)
class Orientation:
    """The affine from voxel to RAS mm that holds.

    `note` says what had to be decided, empty where nothing. `sides_known` is False where the header says no
    orientation.
    """

    vox_to_ras: NDArray[np.float64]
    note: str = ""
    sides_known: bool = True


def choose_affine(path: Path, header: Any) -> Orientation:
    """The affine that holds, and what had to be decided.

    Raises
    ------
    ImageError
        qform and sform disagree in handedness.
    """
    has_qform, has_sform = int(header["qform_code"]) > 0, int(header["sform_code"]) > 0
    sform = np.asarray(header.get_sform(), dtype=np.float64)
    qform = _qform(header)
    unit_mm, unit_note = _unit_mm(header, sform if has_sform else header.get_base_affine())
    to_mm = np.diag([unit_mm, unit_mm, unit_mm, 1.0])
    sform, qform = to_mm @ sform, None if qform is None else to_mm @ qform
    if has_qform and qform is not None:
        apart_mm = _apart_mm(qform, sform, header.get_data_shape()) if has_sform else 0.0
        if apart_mm <= AGREE_MM:
            # The sform is the more exact of the two: it is not rebuilt from a quaternion.
            return Orientation(sform if has_sform else qform, unit_note)
        _check_handedness(path, qform, sform)
        note = f"The qform holds: the sform puts voxels up to {apart_mm:.3g} mm elsewhere."
        return Orientation(qform, _joined(note, unit_note))
    if has_sform:
        return Orientation(sform, _joined("The sform holds: the qform is not valid." if has_qform else "", unit_note))
    found = "The qform is not valid and no sform is set" if has_qform else "Neither qform nor sform is set"
    note = f"{found}: position and side come from the header's default, so LEFT AND RIGHT ARE NOT KNOWN."
    base = to_mm @ np.asarray(header.get_base_affine(), dtype=np.float64)
    return Orientation(base, _joined(note, unit_note), sides_known=False)


def _joined(*notes: str) -> str:
    return " ".join(filter(None, notes))


def _unit_mm(header: Any, affine: NDArray[np.float64]) -> tuple[float, str]:
    """How many mm the header's unit of length is, and a note where the header's unit cannot be meant."""
    code = int(header["xyzt_units"]) & 7
    if code not in UNITS_MM:
        return 1.0, ""
    name, unit_mm = UNITS_MM[code]
    sides = np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, :3], axis=0)
    if _are_voxels(sides) and not _are_voxels(sides * unit_mm):
        return 1.0, f"The header's unit is {name}, which would be no head; its lengths were read as mm."
    return unit_mm, f"The header's lengths are in {name} and were brought to mm."


def _are_voxels(sides_mm: NDArray[np.float64]) -> bool:
    return bool(((sides_mm >= VOXEL_MM[0]) & (sides_mm <= VOXEL_MM[1])).all())


def _qform(header: Any) -> NDArray[np.float64] | None:
    try:
        qform = np.asarray(header.get_qform(), dtype=np.float64)
    except (ValueError, HeaderDataError):  # a quaternion longer than one, or negative sizes
        return _rounded_qform(header)
    return qform if _is_affine(qform) else None


def _rounded_qform(header: Any) -> NDArray[np.float64] | None:
    """The qform of a quaternion that is longer than one by rounding; nibabel allows less than real files have.

    Tried only then: within its limit nibabel takes the real part for zero, also where it is a little more.
    """
    header = header.copy()
    header.quaternion_threshold = -QUATERNION_ROUNDING
    try:
        qform = np.asarray(header.get_qform(), dtype=np.float64)
    except (ValueError, HeaderDataError):
        return None
    return qform if _is_affine(qform) else None


def _is_affine(qform: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(qform).all() and (np.linalg.norm(qform[:3, :3], axis=0) > 0).all())


def _apart_mm(one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """The largest distance between the places that two affines give to a corner of the volume; NaN counts as far."""
    sides = np.ones(3)
    sides[: len(shape[:3])] = shape[:3]
    corners = np.array([[i, j, k, 1.0] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    corners[:, :3] *= sides - 1
    apart = np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max()
    return float(apart) if np.isfinite(apart) else float("inf")


def _check_handedness(path: Path, qform: NDArray[np.float64], sform: NDArray[np.float64]) -> None:
    signs = [float(np.linalg.det(affine[:3, :3])) for affine in (qform, sform)]
    if signs[0] * signs[1] < 0:
        msg = (
            f"The qform and the sform of {path} disagree about left and right (determinants {signs[0]:.3g} and"
            f" {signs[1]:.3g}): one is the other's mirror image. Find out which holds and remove the other."
        )
        raise ImageError(msg)
