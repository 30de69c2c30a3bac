"""What lesions are drawn with: places, outlines, brightness; nothing of a disease.

Everything is drawn from `Site`, a look at the brain at every second voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis.fields import Axes, Field, Lattice, rotation, rough, scaled, smooth
from flairline.synthesis.lesion_kinds import KINDS
from flairline.synthesis.lesions import Blob, Paint, Part, Within

HOLLOW_T1 = (0.2, 0.5)
"""Signal of holes and dead centres in T1; fluid mostly."""


@dataclass(frozen=True, eq=False)
class Site:
    """The brain that lesions are drawn for, on the scan's grid of 1 mm."""

    axes_mm: Axes
    labels: NDArray[np.uint8]
    """Classes of every second voxel."""
    ventricle_mm: NDArray[np.float32]
    """Distance of every second voxel from the ventricles."""
    brightest: float
    """Signal of the brightest normal tissue in FLAIR."""

    @property
    def from_ventricle_mm(self) -> Field:
        """The distance as a field."""
        x, y, z = (float(axis[0]) for axis in self.axes_mm)
        return (Lattice(self.ventricle_mm, (x, y, z), (2.0, 2.0, 2.0), 1),)


class Pencil:
    """Draws the parts of lesions: places, outlines, brightness."""

    def __init__(
        self, site: Site, rng: np.random.Generator, of_fields: np.random.Generator, of_t1: np.random.Generator
    ) -> None:
        self.site, self.rng, self.of_fields, self._of_t1 = site, rng, of_fields, of_t1
        self.shape = np.array([len(axis) for axis in site.axes_mm])
        self.least = float(rng.uniform(1.1, 1.35))

    def places(self, classes: Sequence[int], count: int, near_ventricle_mm: float | None = None) -> NDArray[np.int64]:
        """Random voxels of some classes (count, 3); a falling-off length crowds them towards the ventricles."""
        voxels = np.argwhere(np.isin(self.site.labels, classes))
        if len(voxels) == 0 or count == 0:
            return np.zeros((0, 3), dtype=np.int64)
        weights = None
        if near_ventricle_mm is not None:
            weights = np.exp(-self.site.ventricle_mm[tuple(voxels.T)].astype(float) / near_ventricle_mm) + 1e-9
            weights = weights / weights.sum()
        return voxels[self.rng.choice(len(voxels), count, p=weights)] * 2

    def blob(self, voxel: NDArray[np.int64], radii_mm: NDArray[np.floating], roughness: float, edge_mm: float) -> Blob:
        """A rotated ellipsoid with a rough outline."""
        reach = int(np.ceil(max(radii_mm) * (1.1 + roughness))) + 3
        low, high = np.maximum(voxel - reach, 0), np.minimum(voxel + reach + 1, self.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        mean_mm = float(np.mean(radii_mm))
        axes = mean_mm * np.diag(1 / radii_mm) @ rotation(self.rng.uniform(-np.pi, np.pi, 3))
        outline = scaled(rough(self.of_fields, self.axes_of(box), max(2.0, 0.8 * mean_mm)), roughness * mean_mm)
        centre_mm = np.array([axis[i] for axis, i in zip(self.site.axes_mm, voxel, strict=True)])
        return Blob(centre_mm, axes, mean_mm, edge_mm, box=box, roughness_mm=outline)

    def axes_of(self, box: tuple[slice, ...]) -> Axes:
        """The axes of a box of the grid."""
        x, y, z = (axis[part] for axis, part in zip(self.site.axes_mm, box, strict=True))
        return x, y, z

    def brightness(self, low: float = 1.1, high: float = 2.0) -> float:
        """Signal of a bright lesion, at least `low`; white matter is 1.

        It is a level times a factor. The level is drawn evenly from white matter's to the brightest tissue's, so a
        lesion of white matter may be darker than cortex. The factor lies from `low` - 0.15 to `high`, around a third
        of the way mostly.
        """
        level = 1 + (self.site.brightest - 1) * float(self.rng.uniform())
        return max(low, level * (low - 0.15 + (high - low + 0.15) * float(self.rng.beta(1.5, 2.0))))

    def bright(self, kind: str, level: float, texture: Field | None = None) -> Paint:
        """Paint that is brighter than what is there (darker in T1)."""
        t1 = KINDS[kind].t1
        assert t1 is not None
        return Paint({"flair": level, "t1": self.in_t1(t1)}, self.least, texture)

    def in_t1(self, limits: tuple[float, float]) -> float:
        """A level in T1; it is drawn apart, so that a scan's FLAIR does not depend on whether it has a T1."""
        return float(self._of_t1.uniform(*limits))

    def spot(self, kind: str, blob: Blob, level: float, texture: Field | None = None) -> Part:
        """A bright blob in tissue."""
        return Part(blob, Within("tissue"), self.bright(kind, level, texture))

    def hollow(self, blob: Blob, level: float, region: str = "anywhere") -> Part:
        """A blob that hides whatever was there."""
        return Part(blob, Within(region), Paint({"flair": level, "t1": self.in_t1(HOLLOW_T1)}))

    def texture(self, blob: Blob, most: float, length_mm: tuple[float, float]) -> Field:
        """Brightness that varies over a blob, by up to `most` (standard deviation)."""
        assert blob.box is not None
        strength = float(self.rng.uniform(0, most))
        return scaled(smooth(self.of_fields, self.axes_of(blob.box), float(self.rng.uniform(*length_mm))), strength)
