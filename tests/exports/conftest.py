"""A small head with three lesions, found: unequal sides, in any orientation on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flairline.imaging.measure import lesions_of
from flairline.imaging.regions import REGIONS
from flairline.io.nifti import read_volume
from flairline.segmentation import Found
from flairline.summary import Summary
from flairline.types import Mask, Scan, Threshold, Volume

SHAPE = (21, 24, 27)
BOXES = {
    "left": (slice(4, 8), slice(8, 13), slice(9, 13)),  # 80 voxels
    "right": (slice(14, 17), slice(14, 18), slice(15, 18)),  # 36 voxels
    "small": (slice(15, 16), slice(6, 8), slice(8, 9)),  # 2 voxels
}
"""Three lesions of unequal size: voxels (x, y, z) in RAS+."""


def found_in(scan: Scan, array: np.ndarray, regions: tuple[str, ...] = ()) -> Found:
    """What was found, the lesions' regions in the order of their size."""
    mask = Mask(array, scan.space)
    lesions = lesions_of(mask, scan.brain)
    lesions = [replace(each, region=name) for each, name in zip(lesions, regions, strict=True)] if regions else lesions
    region_ml = {name: sum(each.volume_ml for each in lesions if each.region == name) for name in REGIONS}
    summary = Summary(recipe="made", subject=scan.subject, region_ml=region_ml if regions else None)
    score = Volume(array.astype(np.float32), scan.space)
    return Found(scan, score, mask, Threshold(0.5, "given", "user"), summary.measured(mask, scan.brain, lesions))


@pytest.fixture
def make_found(tmp_path: Path, save: Callable[..., Path]) -> Callable[..., Found]:
    """Makes results whose FLAIR and T1 lie in a file of an orientation; `regions` are the three lesions' own."""

    def make(orientation: str = "RAS", regions: tuple[str, ...] = ()) -> Found:
        rng = np.random.default_rng(3)
        array = np.zeros(SHAPE, bool)
        for box in BOXES.values():
            array[box] = True
        brain = np.zeros(SHAPE, bool)
        brain[2:-2, 2:-2, 2:-2] = True
        flair = np.where(brain, 100 + 100 * array + rng.normal(0, 2, SHAPE), 0).astype(np.float32)
        volume = read_volume(save(tmp_path / f"flair-{orientation}.nii.gz", flair, orientation))
        np.testing.assert_allclose(volume.array, flair)
        return found_in(Scan.of("sub-1", volume, Mask(brain, volume.space), volume), array, regions)

    return make
