"""Smooth random fields and deformations, as they are drawn: a few numbers on a coarse lattice each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Axes = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Centres of a grid's voxels along x, y and z, in mm."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """Values at regular knots (a, b, c) and how they are joined: B-splines of degree 1 (lines) or 3 (smooth)."""

    values: NDArray[np.float32]
    start_mm: tuple[float, float, float]
    step_mm: tuple[float, float, float]
    degree: int

    def scaled(self, factor: float) -> Lattice:
        """The same field, so many times as strong."""
        return replace(self, values=(factor * self.values).astype(np.float32))

    def basis(self, axis_mm: NDArray[np.float64], axis: int) -> NDArray[np.float32]:
        """Weight of each knot at each place (n, knots) along an axis, for degree 3."""
        t = np.abs((axis_mm[:, None] - self.start_mm[axis]) / self.step_mm[axis] - np.arange(self.values.shape[axis]))
        near = 2 / 3 - t**2 + t**3 / 2
        far = np.clip(2 - t, 0, None) ** 3 / 6
        return np.where(t < 1, near, far).astype(np.float32)

    def taps(self, axis_mm: NDArray[np.float64], axis: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """For degree 1: the knot before each place, and how far the place lies towards the next one, 0 to 1."""
        place = (axis_mm - self.start_mm[axis]) / self.step_mm[axis]
        knot = np.clip(np.floor(place), 0, self.values.shape[axis] - 2).astype(np.int64)
        return knot, np.clip(place - knot, 0, 1).astype(np.float32)


Field = tuple[Lattice, ...]
"""A field is the sum of its lattices."""


@dataclass(frozen=True, eq=False)
class Deformation:
    """From a scan's mm to the anatomy's: matrix @ (mm - middle_mm) + target_mm, plus a displacement along each axis."""

    matrix: NDArray[np.float64]
    middle_mm: NDArray[np.float64]
    target_mm: NDArray[np.float64]
    displacement_mm: tuple[Field, Field, Field]


def smooth(rng: np.random.Generator, axes: Axes, length_mm: float) -> Field:
    """A field of unit standard deviation over a grid, which changes over `length_mm`."""
    knots = [max(2, round(len(axis) / length_mm) + 2) for axis in axes]  # such grids are of 1 mm
    start = tuple(float(axis[0]) for axis in axes)
    step = tuple(max(float(axis[-1] - axis[0]), 1e-3) / (count - 1) for axis, count in zip(axes, knots, strict=True))
    drawn = Lattice(rng.standard_normal(knots, dtype=np.float32), start, step, 1)  # type: ignore[arg-type]
    return (drawn.scaled(1 / max(_standard_deviation(drawn, axes), 1e-3)),)


def rough(rng: np.random.Generator, axes: Axes, length_mm: float) -> Field:
    """Three octaves of `smooth`, for outlines."""
    octaves = ((1.0, length_mm), (0.5, length_mm / 2), (0.25, length_mm / 4))
    return tuple(smooth(rng, axes, length)[0].scaled(weight / 1.15) for weight, length in octaves)


def scaled(drawn: Field, factor: float) -> Field:
    """The same field, so many times as strong."""
    return tuple(lattice.scaled(factor) for lattice in drawn)


def splines(
    rng: np.random.Generator, low_mm: Sequence[float], length_mm: Sequence[float], knot_mm: float, sd: float
) -> Lattice:
    """Cubic splines over a box, the same for every grid in it, of independent normal coefficients."""
    shape = [int(np.ceil(length / knot_mm)) + 5 for length in length_mm]
    x, y, z = (low - 2 * knot_mm for low in low_mm)
    return Lattice((sd * rng.standard_normal(shape)).astype(np.float32), (x, y, z), (knot_mm,) * 3, 3)


def rotation(angles: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rotation about x, then y, then z, in radians."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz", angles).as_matrix()


def _standard_deviation(lattice: Lattice, axes: Axes) -> float:
    """Of a field of degree 1 over a grid, from the lattice alone: sums over a grid fall apart by axes."""
    first = second = lattice.values.astype(np.float64)
    for axis in range(3):
        knot, weight = lattice.taps(axes[axis], axis)
        basis = np.zeros((len(knot), lattice.values.shape[axis]))
        rows = np.arange(len(knot))
        basis[rows, knot], basis[rows, knot + 1] = 1 - weight, weight
        second = np.moveaxis(np.tensordot(basis.T @ basis / len(knot), second, (1, axis)), 0, axis)
        first = np.tensordot(basis.mean(axis=0), first, (0, 0))
    return float(np.sqrt(max((second * lattice.values).sum() - float(first) ** 2, 0)))
