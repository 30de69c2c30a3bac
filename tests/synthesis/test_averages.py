"""Averages of lesion-free scans of a cache: laid onto each other by their places, without noise, without lesions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("torch")

from flairline.synthesis.averages import average, fill_averages, lesion_free
from flairline.synthesis.scan_store import Stored, open_scan, store_scan
from flairline.synthesis.training import Z_RANGE

SHAPE = (40, 48, 36)


def _person(stem: Path, moved: tuple[int, int, int], seed: int, lesion: bool = False) -> Path:
    """A brain with a bright stripe on its left, moved by so many voxels in a grid that says so."""
    x, y, z = (axis - off for axis, off in zip(np.indices(SHAPE), moved, strict=True))
    brain = ((x - 20) / 14) ** 2 + ((y - 24) / 18) ** 2 + ((z - 18) / 12) ** 2 < 1
    rng = np.random.default_rng(seed)
    pattern = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 2) * 8
    tissue = np.roll(pattern, moved, (0, 1, 2)) + rng.standard_normal(SHAPE)
    image = np.where((np.abs(x - 14) < 3) & (np.abs(y - 20) < 5), tissue + 3, tissue)
    image = np.where(brain, np.clip(image, -4.9, 10), Z_RANGE[0]).astype(np.float16)
    vox_to_atlas = np.eye(4)
    vox_to_atlas[:3, 3] = -np.array(moved)
    t1 = np.where(brain, 1.0, 0.0).astype(np.float16)
    truth = np.zeros(SHAPE, bool)
    truth[20, 24, 18] = lesion
    store_scan(stem, Stored(image, truth, t1, vox_to_atlas), np.argwhere(truth))
    return stem


@pytest.fixture
def people(tmp_path: Path) -> list[Path]:
    return [_person(tmp_path / f"{n}", (n - 3, 2 - n, n % 3), n, lesion=n == 5) for n in range(10)]


def test_people_lie_on_each_other_and_their_noise_is_gone(people: list[Path]) -> None:
    free = lesion_free(people)
    assert len(free) == 9 and people[5] not in free
    mean, first = average(free), open_scan(free[0])
    np.testing.assert_array_equal(mean.vox_to_atlas, first.vox_to_atlas)
    image = np.asarray(mean.image, np.float32)
    x, y, _ = (axis - off for axis, off in zip(np.indices(SHAPE), (-3, 2, 0), strict=True))
    inside = ndimage.binary_erosion(image > Z_RANGE[0], iterations=2)
    stripe = (np.abs(x - 14) < 2) & (np.abs(y - 20) < 4) & inside
    other = (np.abs(x - 26) < 2) & (np.abs(y - 20) < 4) & inside
    assert image[stripe].mean() > image[other].mean() + 1.5
    grain = [
        np.abs(volume - ndimage.uniform_filter(volume, 3))[inside].mean() / volume[inside].std()
        for volume in (image, np.asarray(first.image, np.float32))
    ]
    assert grain[0] < 0.7 * grain[1]
    assert np.asarray(mean.t1, np.float32)[inside] == pytest.approx(1.0, abs=0.01)
    assert not mean.truth.any()


def test_averages_are_made_once_and_depend_on_their_seed(people: list[Path], tmp_path: Path) -> None:
    made = fill_averages(tmp_path / "a", people, 2, 7)
    before = made[0].with_suffix(".image.npy").stat().st_mtime_ns
    assert fill_averages(tmp_path / "a", people, 2, 7) == made
    assert made[0].with_suffix(".image.npy").stat().st_mtime_ns == before
    again, other = (fill_averages(tmp_path / f"b{seed}", people, 1, seed)[0] for seed in (7, 8))
    np.testing.assert_array_equal(open_scan(again).image, open_scan(made[0]).image)
    assert open_scan(other).image.shape != open_scan(again).image.shape or (
        not np.array_equal(open_scan(other).image, open_scan(again).image)
    )


def test_one_person_has_no_average(people: list[Path], tmp_path: Path) -> None:
    assert fill_averages(tmp_path / "none", [people[0], people[5]], 3, 1) == []
