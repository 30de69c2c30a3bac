"""Mean and standard deviation of many scans, voxel by voxel, in the memory of three maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.imaging.points import carry_partial_volume, carry_volume
from flairline.learning.atlas.placing import Frame, Placed
from flairline.learning.slices.slices import Intensity, scaled_intensities
from flairline.types import BoolArray, FloatArray, Mask, Scan, Volume

HALF = 0.5


@dataclass(frozen=True, eq=False)
class Maps:
    """Statistics on a model's grid, float32 (x, y, z).

    `count` scans were seen at a voxel; `mean` is 0 where there was none, `std` (unbiased) where there were not two.
    """

    count: FloatArray
    mean: FloatArray
    std: FloatArray

    @property
    def pooled_std(self) -> float:
        """Root of the variance averaged over the voxels, by their degrees of freedom. NaN without any."""
        freedom = np.maximum(self.count.astype(np.float64) - 1, 0)
        total = float(freedom.sum())
        return float(np.sqrt((freedom * self.std.astype(np.float64) ** 2).sum() / total)) if total else float("nan")

    def steady_std(self, min_scans: int, min_share: float) -> FloatArray:
        """`std`, but `pooled_std` where fewer than `min_scans` were seen, and nowhere below that share of it."""
        pooled = np.float32(self.pooled_std)
        return np.where(self.count < min_scans, pooled, np.maximum(self.std, np.float32(min_share) * pooled))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The maps by name."""
        return {"count": self.count, "mean": self.mean, "std": self.std}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.float32]], shape: tuple[int, int, int]) -> Maps:
        """The maps that `arrays` gave. Raises `KeyError` or `ValueError` if they are others."""
        maps = cls(*(arrays[name].astype(np.float32, copy=False) for name in ("count", "mean", "std")))
        if any(array.shape != shape for array in (maps.count, maps.mean, maps.std)):
            msg = f"maps are not of shape {shape}"
            raise ValueError(msg)
        return maps


class Sums:
    """Takes scans one at a time (Welford 1962, doi:10.1080/00401706.1962.10490022)."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.scans = 0
        self.count, self.mean, self.squares = np.zeros(shape, np.int32), np.zeros(shape), np.zeros(shape)

    def add(self, values: FloatArray, inside: BoolArray) -> None:
        """Add one scan where `inside`."""
        new = values[inside].astype(np.float64)
        self.scans += 1
        self.count[inside] += 1
        before = self.mean[inside]
        after = before + (new - before) / self.count[inside]
        self.mean[inside] = after
        self.squares[inside] += (new - before) * (new - after)

    def maps(self) -> Maps:
        """The statistics so far."""
        variance = np.where(self.count > 1, self.squares / np.maximum(self.count - 1, 1), 0)
        arrays = self.count, self.mean, np.sqrt(np.maximum(variance, 0))
        return Maps(*(array.astype(np.float32) for array in arrays))


def onto_grid(
    scan: Scan, inside: BoolArray, frame: Frame, placed: Placed, intensity: Intensity
) -> tuple[FloatArray, BoolArray]:
    """A scan's intensities on the frame's grid, by one linear interpolation, and where they are known.

    What is not `inside` has no weight in the interpolation, so that no voxel of a lesion, or from beside the brain,
    gets into a value. Nothing is blurred where the frame's voxels are larger: the spread that is learned must be that
    of a voxel, not of an average of many.
    """
    image = np.where(inside, scaled_intensities(scan.flair.array, scan.brain.array, intensity), np.float32(0))
    if scan.space.same_grid(frame.space):
        return image, inside
    share = carry_partial_volume(Mask(inside, scan.space), frame.space, placed.to_scan)
    values = carry_volume(Volume(image, scan.space), frame.space, placed.to_scan).array
    known = share >= HALF
    return np.where(known, values / np.maximum(share, np.float32(HALF)), np.float32(0)), known


def onto_scan(maps: tuple[FloatArray, ...], known: BoolArray, scan: Scan, frame: Frame, placed: Placed) -> Onto:
    """Maps of a model on a scan's own grid, and where they are known there; only known voxels have weight."""
    if scan.space.same_grid(frame.space):
        return Onto(maps, known)
    to_model = placed.to_scan.inverse()
    share = carry_partial_volume(Mask(known, frame.space), scan.space, to_model)
    there = share >= HALF
    weight = np.maximum(share, np.float32(HALF))
    carried = []
    for array in maps:
        image = Volume(np.where(known, array, np.float32(0)), frame.space)
        carried.append(np.where(there, carry_volume(image, scan.space, to_model).array / weight, np.float32(0)))
    return Onto(tuple(carried), there)


@dataclass(frozen=True, eq=False)
class Onto:
    """Maps on a scan's grid, and where they are known."""

    maps: tuple[FloatArray, ...]
    known: BoolArray
