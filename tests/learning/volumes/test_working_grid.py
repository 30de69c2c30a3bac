"""The grid of the network hangs on the middle of the brain, and nothing moves on the way there and back."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from flairline.learning.volumes.unet import pad
from flairline.learning.volumes.working_grid import WorkingGrid

SHAPE = (46, 52, 38)


def ball(shape=SHAPE, radius=(16, 18, 13), middle=(22, 27, 18)) -> np.ndarray:
    axes = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return sum(((axis - at) / r) ** 2 for axis, at, r in zip(axes, middle, radius, strict=True)) <= 1


def ramp(shape, spacing_mm) -> np.ndarray:
    """A value that says where it is: linear in mm, another slope along each axis."""
    axes = np.meshgrid(*(np.arange(n) * side for n, side in zip(shape, spacing_mm, strict=True)), indexing="ij")
    return (axes[0] + 3 * axes[1] - 2 * axes[2]).astype(np.float32)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.05), (0.5, 0.7, 3.0), (2.0, 2.0, 2.0), (0.8, 1.3, 1.0)])
def test_what_goes_there_comes_back_in_its_place(spacing_mm):
    brain = ball()
    grid = WorkingGrid.of(brain, spacing_mm)
    values = ramp(SHAPE, spacing_mm)
    boxed = grid.boxed(values, 0.0)
    assert boxed.shape == grid.box_shape
    fine = grid.brought(boxed)
    back = grid.back(fine)
    assert back.shape == values[grid.where].shape
    inner = tuple(slice(5, -5) for _ in range(3))
    np.testing.assert_allclose(back[inner], values[grid.where][inner], atol=0.05 * max(spacing_mm))
    # the matrix says where a voxel of the grid lies in the box
    voxel = np.array(fine.shape) // 2
    i, j, k = (grid.to_box @ [*voxel, 1])[:3]
    place_mm = (np.array([side.start for side in grid.where]) + np.array([i, j, k])) * spacing_mm
    wanted = np.array([1, 3, -2]) @ place_mm
    assert fine[tuple(voxel)] == pytest.approx(wanted, abs=1e-2)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.6, 0.9, 2.5)])
def test_a_voxel_more_at_the_rim_does_not_move_the_grid(spacing_mm):
    brain, larger = ball(), ball()
    first = np.argwhere(brain)[0]
    larger[first[0] - 1, first[1], first[2]] = True
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    padded = []
    for mask in (brain, larger):
        grid = WorkingGrid.of(mask, spacing_mm)
        image, where = pad(grid.brought(grid.boxed(values, 0.0)), grid.anchor)
        assert all((part.start + at) % 16 == 0 for part, at in zip(where, grid.anchor, strict=True))
        place = [part.start + at for part, at in zip(where, grid.anchor, strict=True)]
        padded.append(image[tuple(slice(at - 6, at + 7) for at in place)])
    np.testing.assert_array_equal(*padded)


def test_a_margin_beyond_the_scan_is_as_wide_as_one_within():
    brain = np.zeros((20, 24, 18), bool)
    brain[0:12, 3:24, 4:15] = True
    grid = WorkingGrid.of(brain, (1.0, 1.0, 1.0))
    assert grid.beyond == ((2, 0), (0, 2), (0, 0))
    assert grid.boxed(brain, False).shape == (16, 25, 15)
    assert grid.back(grid.boxed(brain.astype(np.float32), 0.0)).shape == brain[grid.where].shape


@pytest.mark.parametrize("anchor", [None, (0, 0, 0), (5, 30, 17)])
def test_a_padded_image_has_whole_cells_and_a_margin(anchor):
    image = np.ones((23, 41, 18), np.float32)
    padded, where = pad(image, anchor)
    at = anchor or [side // 2 for side in image.shape]
    assert all(side % 16 == 0 for side in padded.shape)
    assert all((part.start + a) % 16 == 0 for part, a in zip(where, at, strict=True))
    assert all(part.start >= 4 and side - part.stop >= 4 for part, side in zip(where, padded.shape, strict=True))
    assert (padded[where] == 1).all() and padded.sum() < image.sum()
