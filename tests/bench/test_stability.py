"""The changes of `bench.stability` do what they say: where a lesion lies afterwards is worked out by hand."""

import importlib
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import aff2axcodes

from flairline.types import Mask, Space

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench is run from the repository and is in no package
stability = importlib.import_module("bench.stability")
sys.path.pop(0)

SHAPE, SIDES_MM, FIRST_MM = (40, 32, 24), (1.0, 1.5, 2.0), (-11.0, 7.0, 23.0)
MIDDLE_MM = np.array([-11 + 39 / 2, 7 + 31 / 2 * 1.5, 23 + 23 / 2 * 2.0])
FROM_MIDDLE_MM = np.array([9.0, 0.0, 0.0])
"""The lesion lies to the right of the centre, where the axes of the grid have no say in the answer."""


@pytest.fixture
def stripped_scan(tmp_path):
    """A stripped ellipsoid with a smooth bright spot, on a grid whose sides and voxels are unequal."""
    affine = np.diag([*SIDES_MM, 1.0])
    affine[:3, 3] = FIRST_MM
    ras = affine[:3, :3] @ np.indices(SHAPE).reshape(3, -1) + np.array(FIRST_MM)[:, None]
    away = np.linalg.norm((ras - MIDDLE_MM[:, None]) / np.array([[15.0], [17.0], [17.0]]), axis=0).reshape(SHAPE)
    spot = np.linalg.norm(ras - (MIDDLE_MM + FROM_MIDDLE_MM)[:, None], axis=0).reshape(SHAPE)
    flair = np.where(away <= 1, 100 + 900 * np.exp(-((spot / 3) ** 2)), 0).astype(np.float32)
    path = tmp_path / "flair.nii.gz"
    nib.save(nib.Nifti1Image(flair, affine), path)
    return stability.Image.read(path)


def spot_mm(path):
    """Centre of what is bright in a file, as nibabel places it."""
    image = nib.load(path)
    values = np.clip(image.get_fdata() / image.get_fdata().max() - 0.3, 0, None)
    voxel = [(index * values).sum() / values.sum() for index in np.indices(values.shape)]
    return (image.affine @ [*voxel, 1])[:3]


def written(change, image, tmp_path):
    path = tmp_path / "changed.nii"
    change.write(change.image(image, image.middle_mm(), seed=0), path)
    return path


@pytest.mark.parametrize("by_header", [False, True])
@pytest.mark.parametrize(
    ("degrees", "shift_mm", "expected"),
    [
        ((0, 0, 0), (0, 0, 0), (9, 0, 0)),
        ((0, 0, 0), (3, -4, 5), (12, -4, 5)),
        ((0, 0, 20), (0, 0, 0), (9 * np.cos(np.pi / 9), 9 * np.sin(np.pi / 9), 0)),  # towards the front
        ((0, 20, 0), (0, 0, 0), (9 * np.cos(np.pi / 9), 0, -9 * np.sin(np.pi / 9))),  # downwards
        ((20, 0, 0), (0, 2, 0), (9, 2, 0)),  # the lesion lies on the axis
    ],
)
def test_a_moved_lesion_lies_where_the_move_puts_it(stripped_scan, tmp_path, degrees, shift_mm, expected, by_header):
    change = stability.Move("moved", "rigid", degrees, shift_mm, by_header)
    np.testing.assert_allclose(stripped_scan.middle_mm(), MIDDLE_MM)
    found = spot_mm(written(change, stripped_scan, tmp_path)) - MIDDLE_MM
    np.testing.assert_allclose(found, expected, atol=0.25)
    points = change.points(MIDDLE_MM)
    np.testing.assert_allclose((points @ [*(MIDDLE_MM + FROM_MIDDLE_MM), 1])[:3] - MIDDLE_MM, expected, atol=1e-9)


@pytest.mark.parametrize(
    "change", [each for each in stability.CHANGES if each.kind != "rigid" and not isinstance(each, stability.Move)]
)
def test_any_other_change_leaves_a_lesion_where_it_was(stripped_scan, tmp_path, change):
    found = spot_mm(written(change, stripped_scan, tmp_path)) - MIDDLE_MM
    np.testing.assert_allclose(found, FROM_MIDDLE_MM, atol=0.35)


@pytest.mark.parametrize("change", [each for each in stability.CHANGES if isinstance(each, stability.Stored)])
def test_another_storage_has_the_same_voxels_in_another_order(stripped_scan, tmp_path, change):
    path = written(change, stripped_scan, tmp_path)
    assert "".join(aff2axcodes(nib.load(path).affine)) == change.codes
    again = stability.Image.read(path)
    largest_step = 1000 / 32000 if change.integers else 0
    np.testing.assert_allclose(again.array, stripped_scan.array, atol=largest_step)
    np.testing.assert_array_equal(again.inside, stripped_scan.inside)
    np.testing.assert_allclose(again.vox_to_ras, stripped_scan.vox_to_ras, atol=1e-5)


def test_a_stripped_scan_stays_stripped_and_is_not_blurred_into_its_background(stripped_scan, tmp_path):
    moved = stability.Image.read(written(stability.Move("moved", "rigid", (0, 0, 5)), stripped_scan, tmp_path))
    assert moved.inside is not None
    assert abs(moved.inside.sum() / stripped_scan.inside.sum() - 1) < 0.02
    assert moved.array[moved.inside].min() > 95


def test_a_mask_is_brought_back_by_the_map_of_its_move():
    space = Space(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
    mask, moved = (np.zeros(SHAPE, np.bool_) for _ in range(2))
    mask[10:14, 10:15, 5:9] = True
    moved[12:16, 9:14, 8:12] = True  # by (2, -1, 3) voxels of 2 mm
    unchanged, changed = (
        stability.Segmented({"m": Mask(each, space)}, Mask(each, space), {"m": 1.0}, 0.0) for each in (mask, moved)
    )
    change = stability.Move("moved", "rigid", shift_mm=(4.0, -2.0, 6.0))
    (row,) = stability.compared("scan", change, change.points(MIDDLE_MM), unchanged, changed)
    assert row.dice == row.kept == row.brain_dice == 1 and row.volume_change == 0 and not row.missed
    (row,) = stability.compared("scan", change, np.eye(4), unchanged, changed)
    assert row.dice < 0.5 and "Dice" in row.missed


@pytest.mark.parametrize(
    ("kind", "dice", "kept", "ml", "missed"),
    [
        ("storage", 0.99, 1.0, 10.0, ""),
        ("padding", 0.989, 1.0, 10.0, "Dice 0.989 < 0.99"),
        ("rigid", 0.84, 0.9, 10.9, ""),
        ("rigid", 0.83, 0.9, 10.0, "Dice 0.830 < 0.93 of 0.900"),
        ("noise", 0.1, 1.0, 8.9, "volume -11.0%"),
    ],
)
def test_the_limits(kind, dice, kept, ml, missed):
    row = stability.Row("scan", "change", kind, "m", dice, kept, ml, 10.0, 1.0, 0.5, 1.0)
    assert row.missed == missed


def test_a_result_that_is_kept_is_not_made_again(tmp_path, monkeypatch):
    files = stability.quick_files(tmp_path / "phantom")
    ask = ("phantom", files, stability.CHANGES[:1], ("brightest",), tmp_path)
    first = list(stability.rows_of(*ask))
    monkeypatch.setattr(stability, "segmented", None)
    assert list(stability.rows_of(*ask)) == first
