"""Slices of one size from any scan, and back: left stays left, nothing is lost, nothing outside the brain counts."""

import numpy as np
import pytest

from flairline.io.nifti import read_volume
from flairline.learning.slices.slices import FIELD_OF_VIEW_MM, SliceGrid, from_slices, to_slices
from flairline.types import Mask, Scan, Space, Volume


def ellipsoid(shape=(61, 77, 23), spacing_mm=(2.5, 2.0, 6.0)):
    """A smooth brain with a bright block on the patient's left (low x); unequal sides and spacings."""
    middle = (np.array(shape) - 1) / 2
    places = np.indices(shape)
    away = [(axis - m) / (side / 2 - 3) for axis, m, side in zip(places, middle, shape, strict=True)]
    radius = sum(axis**2 for axis in away)
    brain = radius <= 1
    flair = np.where(brain, 100 + 40 * np.cos(2 * radius), 0).astype(np.float32)
    flair[12:20, 30:44, 9:14] = 300
    space = Space(shape, np.diag([*spacing_mm, 1.0]))
    return Scan.of("ellipsoid", Volume(flair, space), Mask(brain, space))


def test_a_slice_has_the_size_and_pixels_that_were_asked_for():
    scan = ellipsoid()
    slices = to_slices(scan, SliceGrid(64))
    n = int(scan.brain.array.any(axis=(0, 1)).sum())
    assert slices.images.shape == slices.brains.shape == (n, 64, 64)
    assert slices.images.dtype == np.float32 and slices.images.min() == 0 and 0.9 < slices.images.max() <= 1
    assert (slices.images[~slices.brains] == 0).all()
    pixel_mm = FIELD_OF_VIEW_MM / 64
    area_mm2 = slices.brains.sum() * pixel_mm**2
    true_mm2 = scan.brain.array.sum() * 2.5 * 2.0
    assert area_mm2 == pytest.approx(true_mm2, rel=0.03)


def test_what_goes_in_comes_back_at_its_place():
    scan = ellipsoid()
    slices = to_slices(scan, SliceGrid(128))
    back = from_slices(slices.images, slices, scan)
    assert back.shape == scan.space.shape and (back[~scan.brain.array] == 0).all()
    block = np.zeros(scan.space.shape, np.bool_)
    block[12:20, 30:44, 9:14] = True
    centre, expected = (np.argwhere(one).mean(axis=0) for one in (back > 0.8, block & scan.brain.array))
    np.testing.assert_allclose(centre, expected, atol=0.5)
    assert back[block & scan.brain.array].mean() > 2 * back[scan.brain.array & ~block].mean()


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "LPS", "oblique"])
def test_left_stays_left_from_every_orientation(orientation, save, tmp_path):
    scan = ellipsoid(shape=(61, 77, 23))
    path = save(tmp_path / "flair.nii.gz", scan.flair.array, orientation, spacing_mm=(2.5, 2.0, 6.0))
    flair = read_volume(path)
    read = Scan.of("read", flair, Mask(flair.array > 0, flair.space))
    slices = to_slices(read, SliceGrid(96))
    bright = np.argwhere(slices.images > 0.9)
    assert bright[:, 1].mean() < 48 - 5  # low x is the patient's left
    marked = from_slices((slices.images > 0.9).astype(np.float32), slices, read) > 0.5
    centre, block = np.argwhere(marked).mean(axis=0), np.argwhere(scan.flair.array == 300).mean(axis=0)
    np.testing.assert_allclose(centre, block, atol=0.6)  # both (x, y, z) in RAS+, whatever the file's order


def test_a_grid_of_the_same_pixels_is_cut_out_without_interpolation():
    scan = ellipsoid(shape=(100, 90, 12), spacing_mm=(1.875, 1.875, 4.0))
    slices = to_slices(scan, SliceGrid(128))
    assert slices.step == (1.0, 1.0) and all(float(offset).is_integer() for offset in slices.offset)
    back = from_slices(slices.images, slices, scan)
    low, high = np.quantile(scan.flair.array[scan.brain.array], (0.002, 0.998))
    expected = np.where(scan.brain.array, np.clip((scan.flair.array - low) / (high - low), 0, 1), 0)
    np.testing.assert_allclose(back, expected, atol=1e-6)


@pytest.mark.parametrize("intensity", ["unit", "equalised", "tissue"])
def test_scale_and_offset_of_the_scan_do_not_matter(intensity):
    scan = ellipsoid()
    other = Scan.of("other", Volume(scan.flair.array * 7 - 900, scan.space), scan.brain)  # negative inside, as z-scored
    one, two = (to_slices(s, SliceGrid(64, intensity)).images for s in (scan, other))
    assert one.std() > 0.05
    np.testing.assert_allclose(one, two, atol=2e-3)


def test_a_brain_mask_wider_than_the_field_of_view_is_seen_whole():
    scan = ellipsoid(spacing_mm=(6.0, 5.0, 6.0))  # 385 mm long
    slices = to_slices(scan, SliceGrid(64))
    assert slices.step[0] * 6.0 > FIELD_OF_VIEW_MM / 64
    edge = np.concatenate([slices.brains[:, 0].ravel(), slices.brains[:, -1].ravel()])
    back = from_slices(slices.brains.astype(np.float32), slices, scan)
    assert not edge.all() and (back[scan.brain.array] > 0.5).mean() > 0.93
