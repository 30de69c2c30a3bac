"""Pictures: left stays left, contours lie on what they outline."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from PIL import Image

from flairline.drawing.mosaic import brain_box, display_window, pick_slices, planes, thumbnail, tiles
from flairline.io.nifti import read_mask, read_volume
from flairline.types import Mask, Scan, Space, Volume

SHAPE, SPACING_MM = (70, 84, 63), 2.0


@dataclass(frozen=True)
class Head:
    """An ellipsoid brain and a truth: a large bright blob on the patient's left, a small one on the right."""

    scan: Scan
    truth: Mask


def head() -> Head:
    vox_to_ras = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    vox_to_ras[:3, 3] = -SPACING_MM * (np.array(SHAPE) - 1) / 2
    space = Space(SHAPE, vox_to_ras)
    ras = np.indices(SHAPE) * SPACING_MM + vox_to_ras[:3, 3].reshape(3, 1, 1, 1)
    brain = (ras[0] / 60) ** 2 + (ras[1] / 74) ** 2 + (ras[2] / 54) ** 2 <= 1
    flair = np.where(brain, 100 + 12 * np.sin(ras[0] / 7) * np.cos(ras[1] / 9) * np.cos(ras[2] / 8), 0)
    large = np.linalg.norm(ras - np.reshape((-31.0, 12.0, 8.0), (3, 1, 1, 1)), axis=0) <= 11
    small = np.linalg.norm(ras - np.reshape((26.0, -30.0, 14.0), (3, 1, 1, 1)), axis=0) <= 6
    truth = large | small
    flair = flair + 60 * truth + np.random.default_rng(5).normal(0, 4, SHAPE) * brain
    return Head(Scan.of("sub-head", Volume(flair.astype(np.float32), space), Mask(brain, space)), Mask(truth, space))


def stored(array, affine, codes, path):
    """Write an RAS+ array with its axes turned to `codes`."""
    to = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    turned = apply_orientation(array, to)
    nib.save(nib.Nifti1Image(turned, affine @ inv_ornt_aff(to, array.shape)), path)
    return path


def oblique(affine, degrees=15.0):
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine


def points_of(path: str) -> np.ndarray:
    """Corners of an SVG path of absolute starts and relative steps, in half voxels."""
    points = []
    for part in re.findall(r"M(-?\d+) (-?\d+)l([^z]*)z", path):
        steps = np.array(part[2].split(), dtype=int).reshape(-1, 2)
        start = np.array([[int(part[0]), int(part[1])]])
        points.append(np.concatenate([start, start + np.cumsum(steps, axis=0)]))
    return np.concatenate(points)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "LPS", "oblique"])
def test_the_patients_left_is_on_the_pictures_right(codes, tmp_path):
    page = head()
    affine = page.scan.space.vox_to_ras
    if codes == "oblique":
        affine, codes = oblique(affine), "LPS"
    left = page.truth.array.copy()
    left[35:] = False  # x grows to the right: this keeps the large blob on the patient's left
    assert left.any()
    flair = read_volume(stored(page.scan.flair.array, affine, codes, tmp_path / "flair.nii.gz"))
    brain = read_mask(stored(page.scan.brain.array.astype(np.uint8), affine, codes, tmp_path / "brain.nii.gz"))
    mask = read_mask(stored(left.astype(np.uint8), affine, codes, tmp_path / "mask.nii.gz"))
    tile = max(tiles(flair, brain, {"mask": mask.array}), key=lambda t: len(t.paths.get("mask", "")))
    # In the picture: the JPEG's bright spot and the contour both lie right of the middle, and in its upper half.
    grey = np.asarray(Image.open(io.BytesIO(tile.jpeg))).astype(float)
    rows, columns = np.nonzero(grey > 200)
    assert columns.mean() > grey.shape[1] / 2
    assert rows.mean() < grey.shape[0] / 2
    points = points_of(tile.paths["mask"])
    assert points[:, 0].min() / 2 > grey.shape[1] / 2
    assert points[:, 1].mean() / 2 < grey.shape[0] / 2
    assert abs(points[:, 0].mean() / 2 - columns.mean() - 0.5) < 1.5
    small = np.asarray(Image.open(io.BytesIO(thumbnail(flair, brain, {"mask": mask.array}))).convert("RGB")).astype(int)
    red = small[..., 0] - small[..., 2] > 90  # the outline's orange
    assert np.nonzero(red)[1].mean() > small.shape[1] / 2


def test_a_contour_encloses_exactly_its_voxels():
    shape = (7, 8, 9)
    space = Space(shape, np.diag([1.0, 2.0, 3.0, 1.0]))
    region = np.zeros(shape, dtype=bool)
    region[1:3, 2:5, 4] = True  # columns 4 and 5 from the left, rows 3 to 5 from the top
    brain = Mask(np.ones(shape, dtype=bool), space)
    flair = Volume(np.ones(shape, dtype=np.float32), space)
    (tile,) = tiles(flair, brain, {"mask": region})
    assert tile.index == 4
    assert tile.box == (7.0, 16.0)
    points = points_of(tile.paths["mask"]) / 2
    assert (points.min(axis=0) == [4, 3]).all()
    assert (points.max(axis=0) == [6, 6]).all()
    assert tile.transform == "scale(0.5 1)"


def test_slices_go_where_something_is_marked():
    brain = np.ones((4, 4, 30), dtype=bool)
    marked = np.zeros_like(brain)
    marked[:2, 0, [3, 11]] = True
    marked[0, 0, 25] = True
    assert pick_slices(marked, brain, 24) == [25, 11, 3]
    assert pick_slices(marked, brain, 2) == [25, 3]
    assert len(pick_slices(np.zeros_like(brain), brain, 24)) == 12


def test_box_holds_the_brain_and_its_margin():
    brain = np.zeros((20, 21, 22), dtype=bool)
    brain[5:8, 9:12, 3:20] = True
    box = brain_box(Mask(brain, Space(brain.shape, np.diag([1.0, 2.0, 4.0, 1.0]))), 4.0)
    assert [(part.start, part.stop) for part in box] == [(1, 12), (7, 14), (2, 21)]


def test_window_of_an_empty_or_flat_brain_is_usable():
    space = Space((3, 4, 5), np.eye(4))
    flat = Volume(np.full((3, 4, 5), 7, dtype=np.float32), space)
    for brain in (np.zeros((3, 4, 5), dtype=bool), np.ones((3, 4, 5), dtype=bool)):
        low, high = display_window(flat, Mask(brain, space))
        assert high > low


def test_sagittal_picture_has_the_front_on_the_left():
    page = head()
    array = np.zeros_like(page.scan.flair.array)
    array[:, 60:, :] = 1.0  # the front
    atlas = Volume(array * page.scan.brain.array, page.scan.space)
    sagittal = next(p for p in planes(page.scan.flair, page.scan.brain, atlas) if p.name == "Sagittal")
    grey = np.asarray(Image.open(io.BytesIO(sagittal.atlas))).astype(float)
    assert np.nonzero(grey > 128)[1].mean() < grey.shape[1] / 2
    assert sagittal.letters == ("A", "P")
