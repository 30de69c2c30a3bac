"""What a scanner and the tools after it make of a head, as it is drawn: bias, resolution, noise, a brain mask."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis.fields import Axes, Field, scaled, smooth
from flairline.synthesis.lesions import Blob

BLURRED_SHARE = 0.125
"""Share of the scans that are blurred along every axis, by up to 2 mm (standard deviation)."""
AVERAGE_SHARE = 0.3
"""Share of these that are averages of many scans: blurred by up to 3 mm, and without noise of their own."""
THICKEST_MM = 8.5
NEAREST_SHARE = 0.3
"""Share of the scans with thick slices that are brought to 1 mm by nearest neighbour."""


@dataclass(frozen=True, eq=False)
class Bias:
    """The image is multiplied by exp(strength * field), the field cut to plus and minus `limit`."""

    field: Field
    strength: float = 1.0
    limit: float | None = None


@dataclass(frozen=True)
class Slices:
    """So many thick slices along an axis, brought back to the grid of 1 mm by lines or by nearest neighbour."""

    axis: int
    count: int
    nearest: bool


@dataclass(frozen=True)
class Noise:
    """Normal noise of a standard deviation, drawn by numpy from `seed` on whatever grid the image has then."""

    sd: float
    seed: int

    def draw(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The noise on a grid. The same on every device."""
        noise = np.random.default_rng(self.seed).standard_normal(shape, dtype=np.float32)
        noise *= np.float32(self.sd)
        return noise


@dataclass(frozen=True, eq=False)
class Rician:
    """Noise of either channel of the coil at each voxel that has signal, and what white matter is stored as.

    The magnitude is stored as whole numbers of at least 1, so that ties occur and no brain voxel looks like background.
    """

    real: NDArray[np.float32]
    imaginary: NDArray[np.float32]
    white: float


@dataclass(frozen=True, eq=False)
class Scanner:
    """From a channel's signal to its image, in this order."""

    bias: Bias
    blur_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    slices: Slices | None = None
    noise: Noise | None = None
    """Of the slices, before they are brought back to the grid."""
    late_blur_mm: float = 0.0
    late_noise: Noise | None = None
    gains: NDArray[np.float32] | None = None
    """Factor of each of the slices (count,): stripes of scans whose slices were taken in turns."""
    most: float | None = None
    """What is brighter is cut off here."""
    step: float | None = None
    """The image is stored in whole numbers of this."""
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """How far it was moved, as images are that were laid onto another one not quite rightly."""
    rician: Rician | None = None


@dataclass(frozen=True)
class Cut:
    """The field of view ends inside the head: what lies before (or after) a voxel along an axis is not there."""

    axis: int
    voxel: int
    before: bool


@dataclass(frozen=True, eq=False)
class BrainMask:
    """A brain mask as tools make them: sulci filled, the rim too tight in places and too wide in others.

    It is where the brain, smoothed by 3 mm, is above level + wobble - 0.4 * residue (cut to 0.03..0.75).
    """

    level: float
    wobble: Field
    residue: Field | None
    """Where it is above 1, skull and dura are left, by up to 0.4."""
    filled: bool
    cut: Cut | None
    remnants: tuple[Blob, ...] = ()
    """Eyes, muscle, skull base: they belong to the mask, too."""


def draw_scanner(rng: np.random.Generator, of_fields: np.random.Generator, axes: Axes) -> Scanner:
    """Bias, resolution (thick slices along any axis) and noise before and after it, wider than scanners differ."""
    field = smooth(of_fields, axes, float(rng.uniform(40, 90)))
    bias = Bias(field, float(rng.uniform(0, 0.15)), 2.0)
    noise = Noise(float(rng.uniform(0.005, 0.07)), _seed(of_fields))
    in_plane = float(rng.uniform(0.0, 0.7))
    thick_axis = int(rng.choice(3, p=(0.15, 0.15, 0.7)))
    thick_mm = float(rng.uniform(1, THICKEST_MM)) if rng.random() < 0.65 else 1.0
    sigmas = [in_plane] * 3
    sigmas[thick_axis] = max(in_plane, thick_mm / 2.355)
    if rng.random() < BLURRED_SHARE:  # 2 mm scans, averages of several
        average = rng.random() < AVERAGE_SHARE
        wide = float(rng.uniform(1.0, 3.0) if average else rng.uniform(0.7, 2.0))
        sigmas = [max(sigma, wide) for sigma in sigmas]
        if average:
            noise = replace(noise, sd=noise.sd * float(rng.uniform(0, 0.2)))
    slices = None
    if thick_mm > 1.5:
        gap = float(rng.uniform(0.9, 1.2))
        count = max(8, round(len(axes[thick_axis]) / (thick_mm * gap)))
        slices = Slices(thick_axis, count, bool(rng.random() < NEAREST_SHARE))
    late_blur_mm = float(rng.uniform(0, 0.6))
    late_noise = Noise(float(rng.uniform(0, 0.02)), _seed(of_fields))
    x, y, z = sigmas
    return Scanner(bias, (x, y, z), slices, noise, late_blur_mm, late_noise, *_storage(rng, slices))


def _storage(
    rng: np.random.Generator, slices: Slices | None
) -> tuple[NDArray[np.float32] | None, float | None, float | None]:
    """Stripes, the highest value, and the step of the values that are stored, of a scan; None where it has none."""
    gains = None
    if slices is not None and rng.random() < 0.35:
        turns = np.where(np.arange(slices.count) % 2, 1.0, -1.0) * float(rng.uniform(0, 0.04))
        gains = (1 + turns + float(rng.uniform(0, 0.03)) * rng.standard_normal(slices.count)).astype(np.float32)
    most = float(rng.uniform(1.3, 2.2)) if rng.random() < 0.2 else None
    step = float(rng.uniform(1 / 120, 1 / 25)) if rng.random() < 0.2 else None
    return gains, most, step


def misplaced(rng: np.random.Generator, scanner: Scanner) -> Scanner:
    """The scanner of a second image of the same head, which does not quite lie on the first one."""
    x, y, z = (float(shift) for shift in rng.normal(0, float(rng.choice((0.3, 1.0), p=(0.75, 0.25))), 3))
    return replace(scanner, shift_mm=(x, y, z))


def draw_brain_mask(
    rng: np.random.Generator, of_fields: np.random.Generator, axes: Axes, remnants: tuple[Blob, ...] = ()
) -> BrainMask:
    """A mask that is a little wrong mostly, and by far sometimes."""
    level = float(rng.uniform(0.2, 0.6))
    strength = float(rng.uniform(0, 0.1))
    wobble = scaled(smooth(of_fields, axes, 25), strength)
    residue = smooth(of_fields, axes, 35) if rng.random() < 0.35 else None
    filled = bool(rng.random() < 0.5)
    cut = None
    if rng.random() < 0.2:
        axis, share = int(rng.choice(3, p=(0.15, 0.25, 0.6))), float(rng.uniform(0.05, 0.3))
        side = len(axes[axis])
        before = bool(rng.random() < 0.6)
        cut = Cut(axis, round(share * side) if before else side - round(share * side), before)
    return BrainMask(level, wobble, residue, filled, cut, remnants)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**62))
