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

One row of our own: where both have a code and one mirrors the other, left and right cannot be known, and the file is
refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flairline.errors import ImageError

AGREE_MM = 5e-2
"""Two affines agree if no voxel corner lies further apart than this: headers hold float32 and rounded quaternions."""


def choose_affine(path: Path, header: Any) -> tuple[NDArray[np.float64], str]:
    """The affine from voxel to RAS mm that holds, and what had to be decided ("" where nothing had).

    Raises
    ------
    ImageError
        qform and sform disagree in handedness.
    """
    sform = np.asarray(header.get_sform(), dtype=np.float64)
    qform = _qform(header)
    has_qform, has_sform = int(header["qform_code"]) > 0, int(header["sform_code"]) > 0
    if has_qform and qform is not None:
        apart_mm = _apart_mm(qform, sform, header.get_data_shape()) if has_sform else 0.0
        if apart_mm <= AGREE_MM:
            # The sform is the more exact of the two: it is not rebuilt from a quaternion.
            return (sform, "") if has_sform else (qform, "")
        _check_handedness(path, qform, sform)
        return qform, f"The qform holds: the sform puts voxels up to {apart_mm:.3g} mm elsewhere."
    if has_sform:
        return sform, "The sform holds: the qform is not valid." if has_qform else ""
    note = (
        "Neither qform nor sform is set: position and side come from the header's default, so LEFT AND RIGHT ARE NOT"
        " KNOWN."
    )
    return np.asarray(header.get_best_affine(), dtype=np.float64), note


def _qform(header: Any) -> NDArray[np.float64] | None:
    try:
        qform = np.asarray(header.get_qform(), dtype=np.float64)
    except ValueError:  # a quaternion longer than one
        return None
    valid = np.isfinite(qform).all() and (np.linalg.norm(qform[:3, :3], axis=0) > 0).all()
    return qform if valid else None


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
