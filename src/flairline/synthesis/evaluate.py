"""Fields, deformations and nearest labels on a grid, by either library of arrays.

Fields of degree 1 and affine maps are worked out value by value and not as products of matrices: so numpy and torch
agree to the last digit about which label a voxel has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis.anatomy import Anatomy
from flairline.synthesis.arrays import Array, Arrays
from flairline.synthesis.fields import Axes, Deformation, Field, Lattice
from flairline.synthesis.lesions import Push


def field_values(arrays: Arrays, drawn: Field, axes: Axes) -> Array:
    """A field on a grid (x, y, z)."""
    total = _lattice_values(arrays, drawn[0], axes)
    for lattice in drawn[1:]:
        total += _lattice_values(arrays, lattice, axes)
    return total


def _lattice_values(arrays: Arrays, lattice: Lattice, axes: Axes) -> Array:
    values = arrays.put(lattice.values)
    if lattice.degree == 3:
        for axis in range(3):
            values = arrays.project(lattice.basis(axes[axis], axis), values, axis)
        return values
    for axis in (2, 1, 0):  # the full grid comes last, and along the axis whose rows lie together
        knot, weight = lattice.taps(axes[axis], axis)
        values = interpolated(arrays, values, axis, knot, knot + 1, weight)
    return values


def interpolated(
    arrays: Arrays,
    values: Array,
    axis: int,
    before: NDArray[np.int64],
    after: NDArray[np.int64],
    weight: NDArray[np.float32],
) -> Array:
    """Values between the places `before` and `after` along an axis, `weight` (n,) of the way."""
    start, rise = arrays.put(before), arrays.put(after)
    low = arrays.take(values, start, axis)
    found = arrays.take(values, rise, axis)
    found -= low
    found *= arrays.put(along(weight, axis))
    found += low
    return found


def along(line: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Values (n,) as an array of three dimensions that runs along an axis."""
    return line.reshape([-1 if axis == other else 1 for other in range(3)])


def anatomy_mm(arrays: Arrays, deformation: Deformation, axes: Axes, axis: int) -> Array:
    """The anatomy's mm along one axis of each voxel of a grid (x, y, z)."""
    x, y, z = (
        arrays.put(along((line - deformation.middle_mm[i]).astype(np.float32), i)) for i, line in enumerate(axes)
    )
    a, b, c = (float(value) for value in deformation.matrix[axis].astype(np.float32))
    moved = a * x + b * y + c * z + float(np.float32(deformation.target_mm[axis]))
    for lattice in deformation.displacement_mm[axis]:
        moved += _lattice_values(arrays, lattice, axes)
    return moved


def nearest_labels(arrays: Arrays, anatomy: Anatomy, deformation: Deformation, axes: Axes) -> Array:
    """Class of each voxel of a grid (x, y, z), nearest neighbour; outside of the anatomy's map 0."""
    assert anatomy.labels is not None
    padded = np.pad(anatomy.labels, 1)
    place = None
    for axis, side in enumerate(padded.shape):
        places = anatomy_mm(arrays, deformation, axes, axis)
        places -= float(anatomy.origin_mm[axis])
        places /= float(anatomy.sides_mm[axis])
        voxel = arrays.cast(arrays.clip(arrays.rint(places), -1, side - 2), np.int32)
        voxel += 1
        place = voxel if place is None else place * side + voxel
    shape = tuple(len(axis) for axis in axes)
    assert place is not None
    return arrays.take(arrays.put(padded.reshape(-1)), place.reshape(-1), 0).reshape(shape)


def pushed(arrays: Arrays, mm: Array, push: Push) -> Array:
    """Where the tissue at the anatomy's `mm` (3, n) was before it was pushed."""
    off = mm - arrays.put(push.centre_mm[:, None])
    distance = arrays.clip(arrays.cast(arrays.sqrt((off * off).sum(0)), np.float32), 1e-3, None)
    radius = push.radius_mm
    beyond = (radius / distance) ** 2
    far = push.farthest_mm * arrays.where(distance < radius, distance / radius, beyond)
    return arrays.cast(mm - off * (far / distance), np.float32)
