"""Registration: where the points of one image lie in another, as a matrix and as an ITK file.

Coordinates are RAS millimetres inside flairline and LPS in ITK files; `write_itk` converts.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from flairline.errors import InputError, MissingExtraError, UnknownNameError
from flairline.imaging.boxes import box_of_mm, voxels_in
from flairline.imaging.points import PointMap
from flairline.imaging.resample import resample_volume
from flairline.io.files import write_bytes
from flairline.io.nifti import write_mask, write_volume
from flairline.types import Mask, Space, Volume

log = logging.getLogger(__name__)

Engine = Literal["greedy", "dipy"]
ENGINES: tuple[Engine, ...] = ("greedy", "dipy")
THREADS = 1
"""One: with two, greedy adds up its mutual information in any order, and three runs give three matrices."""
GREEDY_LEVELS = "40x20"
"""Most iterations at 2 and 1 times the fixed image's voxels."""
FIXED_MM = 2.0
"""Voxel side that the fixed image is brought to. On four raw pairs 2 mm fitted as well as 1 mm, in half the time."""
MARGIN_MM = 10.0
TURN_DEGREES = (17.0, 11.0, 23.0)
"""The fixed grid is turned by so much about its axes, so that it never lies along the moving one. Where two grids of
like voxels run side by side, mutual information peaks at every whole voxel of a shift (Pluim et al. 2000, interpolation
artefacts): a brain was found up to 2 mm from its place, and elsewhere with other noise."""
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
GREEDY_TIMEOUT_SECONDS = 900


def write_itk(path: Path, points: PointMap) -> None:
    """Write the map as an ITK affine transform (.tfm), in LPS. Raises `OutputError`.

    The file takes a point of `source` to `target`, so ITK uses it to resample an image of `target` onto `source`.
    """
    import SimpleITK as sitk

    lps = RAS_TO_LPS @ points.ras_to_ras @ RAS_TO_LPS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    with tempfile.TemporaryDirectory() as folder:
        sitk.WriteTransform(transform, str(Path(folder) / "transform.tfm"))
        content = (Path(folder) / "transform.tfm").read_bytes()
    write_bytes(path, content)


def read_itk(path: Path, source: str, target: str) -> PointMap:
    """The map that `write_itk` wrote. Raises `InputError` if the file cannot be read."""
    import SimpleITK as sitk

    try:
        transform = sitk.AffineTransform(sitk.ReadTransform(str(path)))
    except RuntimeError as error:
        msg = f"Cannot read the transform {path}: it is no affine transform of ITK. Run the command that made it again."
        raise InputError(msg) from error
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    lps[:3, 3] = np.array(transform.GetTranslation()) + transform.GetCenter() - lps[:3, :3] @ transform.GetCenter()
    return PointMap(source, target, RAS_TO_LPS @ lps @ RAS_TO_LPS)


def to_sitk(image: Volume) -> Any:
    """A SimpleITK image with the same voxels at the same places."""
    import SimpleITK as sitk

    lps = RAS_TO_LPS @ image.space.vox_to_ras
    spacing = np.array(image.space.spacing_mm)
    result = sitk.GetImageFromArray(np.ascontiguousarray(image.array.T))  # (x, y, z) -> (z, y, x)
    result.SetSpacing(spacing.tolist())
    result.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    result.SetOrigin(lps[:3, 3].tolist())
    return result


def register_rigid(
    fixed: Volume, fixed_brain: Mask, moving: Volume, moving_brain: Mask | None, engine: Engine
) -> NDArray[np.float64]:
    """4x4 RAS matrix from points of `fixed` to points of `moving`, six degrees of freedom, by mutual information.

    Without a brain of the moving image its whole head is compared inside the fixed brain, starting from the headers.
    """
    return _register(fixed, fixed_brain, moving, moving_brain, "rigid", engine)


def register_affine(
    fixed: Volume, fixed_brain: Mask, moving: Volume, moving_brain: Mask, engine: Engine, spacing_mm: float = FIXED_MM
) -> NDArray[np.float64]:
    """4x4 RAS matrix from points of `fixed` to points of `moving`, twelve degrees of freedom, by mutual information.

    `spacing_mm` is the voxel side that greedy's fixed image is brought to.
    """
    return _register(fixed, fixed_brain, moving, moving_brain, "affine", engine, spacing_mm)


def stripped(image: Volume, brain: Mask) -> Volume:
    """The image with zeros outside the brain; values inside start above zero, so that the brain stays visible."""
    inside = image.array[brain.array]
    shift = 0.0 if inside.min() >= 0 else float(inside.min())
    return Volume(np.where(brain.array, image.array - shift, 0).astype(np.float32), image.space)


def isotropic_space(space: Space, brain: Mask, spacing_mm: float = FIXED_MM) -> Space:
    """A grid of cubes along the same axes around the brain: coarse-to-fine steps halve all three axes alike."""
    box = box_of_mm(brain.array, brain.space.spacing_mm, MARGIN_MM)
    low, high = np.array([float(side.start) for side in box]), np.array([float(side.stop) for side in box])
    scale = spacing_mm / np.array(space.spacing_mm)
    shape = np.maximum(voxels_in(high - low, scale), 1)
    vox_to_ras = space.vox_to_ras @ np.diag([*scale, 1.0])
    vox_to_ras[:3, 3] = (space.vox_to_ras @ [*low, 1.0])[:3]
    return Space((int(shape[0]), int(shape[1]), int(shape[2])), vox_to_ras, space.name)


def turned_space(space: Space, brain: Mask, spacing_mm: float = FIXED_MM) -> Space:
    """A grid of cubes around the brain that lies along no axis of the image (`TURN_DEGREES`)."""
    axes = space.vox_to_ras[:3, :3] / np.array(space.spacing_mm)
    axes = axes @ Rotation.from_euler("xyz", TURN_DEGREES, degrees=True).as_matrix()
    along = space.vox_to_ras[:3, :3].T @ axes  # from voxels to mm along the cubes
    voxels = np.argwhere(brain.array) @ along
    low, high = voxels.min(axis=0) - MARGIN_MM, voxels.max(axis=0) + MARGIN_MM
    shape = voxels_in(high - low, spacing_mm) + 1
    vox_to_ras = np.eye(4)
    vox_to_ras[:3, :3] = axes * spacing_mm
    vox_to_ras[:3, 3] = space.vox_to_ras[:3, 3] + axes @ low
    return Space((int(shape[0]), int(shape[1]), int(shape[2])), vox_to_ras, space.name)


def _register(
    fixed: Volume,
    fixed_brain: Mask,
    moving: Volume,
    moving_brain: Mask | None,
    freedom: Literal["rigid", "affine"],
    engine: Engine,
    spacing_mm: float = FIXED_MM,
) -> NDArray[np.float64]:
    if engine not in ENGINES:
        raise UnknownNameError("registration", engine, ENGINES)
    fixed_part = stripped(fixed, fixed_brain)
    if engine == "greedy":  # the published recipe runs on the whole fixed grid
        fixed_part = resample_volume(fixed_part, turned_space(fixed.space, fixed_brain, spacing_mm))
    moving_part = moving if moving_brain is None else stripped(moving, moving_brain)
    start = np.eye(4) if moving_brain is None else centre_of_brain_start(fixed_part, moving_part)
    run = _greedy if engine == "greedy" else _dipy
    matrix = run(fixed_part, moving_part, freedom, start, masked=moving_brain is None)
    if not np.isfinite(matrix).all() or np.linalg.det(matrix[:3, :3]) <= 0:
        msg = f"The {freedom} registration with {engine} failed: its matrix is no map of a head onto a head."
        raise InputError(msg)
    return matrix


def _greedy(fixed: Volume, moving: Volume, freedom: str, start: NDArray[np.float64], masked: bool) -> NDArray:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_volume(folder / "fixed.nii", replace_stored(fixed))
        write_volume(folder / "moving.nii", replace_stored(moving))
        np.savetxt(folder / "start.mat", start, fmt="%.12g")
        command = (
            f"-d 3 -a -dof {6 if freedom == 'rigid' else 12} -m NMI -n {GREEDY_LEVELS} -jitter 0"
            f" -threads {THREADS} -ia start.mat -i fixed.nii moving.nii -o matrix"
        )
        if masked:
            write_mask(folder / "inside.nii", Mask(fixed.array > 0, replace(fixed.space, stored=None)))
            command += " -gm inside.nii"
        done = subprocess.run(
            [sys.executable, "-P", str(Path(__file__).with_name("greedy.py")), command, "matrix.npy"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=GREEDY_TIMEOUT_SECONDS,
        )
        log.debug("greedy %s\n%s", command, done.stdout)
        if done.returncode != 0 or not (folder / "matrix.npy").exists():
            last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
            msg = f"The {freedom} registration with greedy ended with code {done.returncode}: {last}"
            raise InputError(msg)
        return np.load(folder / "matrix.npy")


def replace_stored(image: Volume) -> Volume:
    """The image without the memory of how it lay in its file, so that it is written as it stands, in RAS+."""
    return Volume(image.array, replace(image.space, stored=None))


def centre_of_brain_start(fixed: Volume, moving: Volume) -> NDArray[np.float64]:
    """The shift that lays the brains' centres of volume upon each other: headers of two sessions need not agree."""
    centres = [image.space.vox_to_ras @ [*np.argwhere(image.array > 0).mean(axis=0), 1.0] for image in (fixed, moving)]
    start = np.eye(4)
    start[:3, 3] = (centres[1] - centres[0])[:3]
    return start


def _dipy(fixed: Volume, moving: Volume, freedom: str, start: NDArray[np.float64], masked: bool) -> NDArray:
    """The paper's engine with its parameters: mutual information with 32 bins, then stage after stage."""
    try:
        from dipy.align.imaffine import AffineRegistration, MutualInformationMetric
        from dipy.align.transforms import AffineTransform3D, RigidTransform3D, TranslationTransform3D
    except ModuleNotFoundError as error:
        what = "--registration dipy"
        raise MissingExtraError(what, "paper") from error
    engine = AffineRegistration(
        metric=MutualInformationMetric(nbins=32, sampling_proportion=None),
        level_iters=[100, 10, 5],
        sigmas=[3.0, 1.0, 1.0],
        factors=[4, 2, 1],
        verbosity=0,
    )
    stages = [TranslationTransform3D(), RigidTransform3D()] + [AffineTransform3D()] * (freedom == "affine")
    matrix = start
    for stage in stages:
        found = engine.optimize(
            fixed.array,
            moving.array,
            stage,
            None,
            static_grid2world=fixed.space.vox_to_ras,
            moving_grid2world=moving.space.vox_to_ras,
            starting_affine=matrix,
            static_mask=(fixed.array > 0).astype(np.int32) if masked else None,
        )
        matrix = np.asarray(found.affine, dtype=np.float64)
    return matrix
