"""A synthetic head: the MNI brain, turned and shifted, in a skull, with one lesion on the right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from flairline.imaging.points import PointMap, carry_mask, carry_volume
from flairline.imaging.resample import resample_mask, resample_volume
from flairline.preprocess import register
from flairline.preprocess.atlas import load_atlas
from flairline.types import Case, Mask, Space, Volume

ATLAS_MM = 4.0
LESION_ATLAS_MM = np.array([34.0, 22.0, 24.0])
"""Right, frontal, above the eyes: no side, front or height can be swapped without being seen."""
LESION_RADIUS_MM = 9.0


def space_of(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], turned_degrees: float = 0.0) -> Space:
    """A RAS grid about its own middle, turned about the z axis."""
    angle = np.radians(turned_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    vox_to_ras = np.eye(4)
    vox_to_ras[:3, :3] = turn @ np.diag(spacing_mm)
    vox_to_ras[:3, 3] = -vox_to_ras[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Space(shape, vox_to_ras)


@dataclass(frozen=True)
class Head:
    """Images of one head and where its lesion is. `atlas_to_native` is the truth that registration should find."""

    flair: Volume
    t1: Volume
    brain: Mask
    atlas_file: Path
    atlas_to_native: PointMap
    lesion_mm: np.ndarray
    lesion_atlas_mm: np.ndarray

    def write(self, folder: Path, orientation: str = "RAS", *, with_brain: bool = True) -> Case:
        """Write the images with the file's axes in the given order."""
        folder.mkdir(parents=True, exist_ok=True)
        images = {"flair": self.flair.array, "t1": self.t1.array, "brain": self.brain.array.astype(np.uint8)}
        grids = {"flair": self.flair.space, "t1": self.t1.space, "brain": self.brain.space}
        for name, array in images.items():
            image = nib.Nifti1Image(array, grids[name].vox_to_ras)
            turn = nib.orientations.ornt_transform(
                nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(orientation)
            )
            turned = image.as_reoriented(turn)
            turned.set_qform(turned.affine, 1)
            turned.set_sform(turned.affine, 1)
            nib.save(turned, folder / f"{name}.nii.gz")
        return Case(
            "synthetic",
            "head",
            flair=folder / "flair.nii.gz",
            t1=folder / "t1.nii.gz",
            brain=folder / "brain.nii.gz" if with_brain else None,
        )


def make_head(folder: Path, turned_degrees: float = 0.0) -> Head:
    """A head whose FLAIR and T1 lie on two grids, a few mm and degrees from the atlas."""
    atlas = load_atlas("mni")
    coarse = space_of((41, 49, 43), (ATLAS_MM,) * 3)
    coarse = Space(coarse.shape, coarse.vox_to_ras + np.array([[0, 0, 0, 0], [0, 0, 0, -18], [0, 0, 0, 18], [0] * 4]))
    small = resample_volume(atlas.t1, coarse).array
    small_brain = resample_mask(atlas.brain, coarse)
    atlas_file = folder / "atlas.nii.gz"
    nib.save(nib.Nifti1Image(np.where(small_brain.array, small, 0), coarse.vox_to_ras), atlas_file)

    angle = np.radians(6.0)
    to_native = np.eye(4)
    to_native[:3, :3] = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    to_native[:3, :3] *= 1.04
    to_native[:3, 3] = (5.0, 12.0, -15.0)
    points = PointMap("atlas", "native", to_native)

    flair_space = space_of((68, 74, 44), (3.0, 3.0, 4.0), turned_degrees)
    t1_space = space_of((56, 62, 60), (3.5, 3.5, 3.0), turned_degrees)
    random = np.random.default_rng(3)
    t1 = _head_image(atlas.t1, atlas.brain, t1_space, points, random, lambda image: image)
    flair = _head_image(atlas.t1, atlas.brain, flair_space, points, random, _flair_contrast)
    brain = carry_mask(atlas.brain, flair_space, points.inverse())
    lesion_mm = (to_native @ [*LESION_ATLAS_MM, 1.0])[:3]
    where = np.moveaxis(np.indices(flair_space.shape), 0, -1) @ flair_space.vox_to_ras[:3, :3].T
    distance = np.linalg.norm(where + flair_space.vox_to_ras[:3, 3] - lesion_mm, axis=-1)
    flair = Volume(np.where(distance <= LESION_RADIUS_MM, np.float32(3.0), flair.array), flair_space)
    return Head(flair, t1, brain, atlas_file, points, lesion_mm, LESION_ATLAS_MM)


def _flair_contrast(t1: np.ndarray) -> np.ndarray:
    """Grey a little brighter than white, and CSF, which is dark on a T1, dark as well."""
    return np.where(t1 > 0.3, 1.3 - 0.8 * t1, 0.3)


def _head_image(atlas_t1, atlas_brain, space, atlas_to_native, random, contrast) -> Volume:
    """Brain with a contrast, a dark gap, a bright skull, and noise in the air."""
    brain = carry_mask(atlas_brain, space, atlas_to_native.inverse()).array
    peak = float(atlas_t1.array.max())
    inside = contrast(carry_volume(atlas_t1, space, atlas_to_native.inverse()).array / peak)
    distance = ndimage.distance_transform_edt(~brain, sampling=space.spacing_mm)
    array = np.where(brain, inside, 0.0)
    array = np.where((distance > 6) & (distance <= 14), 1.6, array)
    array = np.abs(array + random.normal(0, 0.02, space.shape))
    return Volume(array.astype(np.float32), space)


@pytest.fixture(scope="session")
def head(tmp_path_factory) -> Head:
    return make_head(tmp_path_factory.mktemp("head"))


@pytest.fixture(scope="session")
def turned_head(tmp_path_factory) -> Head:
    """The same head on oblique grids."""
    return make_head(tmp_path_factory.mktemp("turned"), turned_degrees=17.0)


@pytest.fixture
def coarse_registration(monkeypatch):
    """Register at 4 mm: the synthetic head has no finer detail, and a test has seconds."""
    monkeypatch.setattr(register, "FIXED_MM", ATLAS_MM)
    monkeypatch.setattr(register, "GREEDY_LEVELS", "40x20")
