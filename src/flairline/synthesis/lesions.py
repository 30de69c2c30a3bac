"""Lesions as they are drawn: outlines, brightness, and where they may lie. White matter is 1.

Every lesion is a soft share in [0, 1] of each voxel, so borders are as soft as partial volumes and oedema are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from flairline.synthesis.arrays import Array, Arrays
from flairline.synthesis.fields import Axes, Field

EVERYWHERE = (slice(None),) * 3


class Head(Protocol):
    """What an outline must know of the head that is being rendered."""

    arrays: Arrays
    axes_mm: Axes

    def points_mm(self, pushed: bool) -> Array:
        """The anatomy's mm of each voxel of the brain (3, n), after or before the lesions have pushed it."""
        ...

    def value(self, drawn: Field, box: tuple[slice, ...]) -> Array:
        """A field over a box of the grid."""
        ...


@dataclass(frozen=True, eq=False)
class Waves:
    """Random waves that move a surface in and out: (m, 4) wave vector per mm and phase, and their height."""

    waves: NDArray[np.float64]
    height_mm: float


@dataclass(frozen=True, eq=False)
class Blob:
    """An ellipsoid with a rough outline; a point lies `radius_mm` - |axes @ offset| + roughness inside it.

    With a box it lies in the scan's mm and is looked at in the box alone; without it lies in the anatomy's mm, and its
    reach is twice its radius and 4 mm.
    """

    centre_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    radius_mm: float
    edge_mm: float
    """Over which the share rises from 0 to 1, about; 0: a hard edge."""
    waves: Waves | None = None
    pushed: bool = True
    """Without a box: it moves with the tissue that other lesions push."""
    box: tuple[slice, ...] | None = None
    roughness_mm: Field | None = None
    """With a box: how far the outline lies out, over the box."""

    def inside(self, head: Head) -> tuple[object, Array, Array]:
        """Where the blob is looked at, its share there, and the depth below its surface in mm."""
        arrays = head.arrays
        if self.box is None:
            points = head.points_mm(self.pushed)
            near = self._near(arrays, head.points_mm(False))
            depth = self._depth_mm(arrays, points[:, near] - arrays.put(self.centre_mm[:, None].astype(np.float32)))
            return near, arrays.ramp(depth, self.edge_mm), depth
        shape = tuple(part.stop - part.start for part in self.box)
        offsets = arrays.mesh(
            [
                (axis[part] - centre).astype(np.float32)
                for axis, part, centre in zip(head.axes_mm, self.box, self.centre_mm, strict=True)
            ]
        )
        depth = self._depth_mm(arrays, offsets).reshape(shape)
        if self.roughness_mm is not None:
            depth = depth + head.value(self.roughness_mm, self.box)
        return self.box, arrays.sigmoid(depth * (4 / self.edge_mm)), depth

    def _near(self, arrays: Arrays, points: Array) -> Array:
        off = points - arrays.put(self.centre_mm[:, None].astype(np.float32))
        return arrays.nonzero((off * off).sum(0) < (2 * self.radius_mm + 4) ** 2)

    def _depth_mm(self, arrays: Arrays, offsets: Array) -> Array:
        """Depth of offsets (3, n) below the surface; negative outside, rough far away."""
        turned = arrays.put(self.axes.astype(np.float32)) @ offsets
        depth = self.radius_mm - arrays.sqrt((turned * turned).sum(0))
        if self.waves is not None:
            surface = 0 * depth
            for wave in self.waves.waves.astype(np.float32):
                surface = surface + arrays.cos(arrays.put(wave[:3]) @ offsets + float(wave[3]))
            depth = depth + float(np.float32(self.waves.height_mm)) * surface
        return depth


@dataclass(frozen=True, eq=False)
class Band:
    """What lies up to `reach_mm` from the ventricles, by places deeper and by places not at all."""

    from_ventricle_mm: Field
    """Distance from the ventricles."""
    reach_mm: float
    wave_mm: Field
    """How much deeper it reaches."""
    edge_mm: float

    def inside(self, head: Head) -> tuple[object, Array, Array]:
        """As of a blob; its share stands for its depth, which only cores ask for."""
        depth = self.reach_mm + head.value(self.wave_mm, EVERYWHERE)
        depth -= head.value(self.from_ventricle_mm, EVERYWHERE)
        depth *= 4 / self.edge_mm
        share = head.arrays.sigmoid(depth)
        return EVERYWHERE, share, share


@dataclass(frozen=True, eq=False)
class Drawing:
    """A rater's drawing of another patient, scaled onto this scan's box, deformed and softened."""

    shape: NDArray[np.bool_]
    shift: tuple[Field, Field, Field]
    """Where the drawing is looked up, beside the place itself; the box is 2 wide."""
    blur_mm: float

    def inside(self, head: Head) -> tuple[object, Array, Array]:
        """As of a band."""
        arrays = head.arrays
        sides = [len(axis) for axis in head.axes_mm]
        places = []
        for axis, count in enumerate(self.shape.shape):
            line = np.linspace(-1, 1, sides[axis], dtype=np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
            place = head.value(self.shift[axis], EVERYWHERE) + arrays.put(line)
            places.append(((place + 1) * ((count - 1) / 2)).reshape(-1))
        found = arrays.linear(self.shape.astype(np.float32), np.zeros(3), np.ones(3), arrays.stack(places))
        share = arrays.blur(found.reshape(sides), (self.blur_mm,) * 3)
        return EVERYWHERE, share, share


Outline = Blob | Band | Drawing


@dataclass(frozen=True, eq=False)
class Core:
    """The middle of a tumour, from `depth_mm` below its surface: other levels, and a bright rim in some channels."""

    depth_mm: float
    levels: Mapping[str, float]
    rims: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Paint:
    """Signal of a lesion, by channel."""

    levels: Mapping[str, float]
    least: float | None = None
    """No lesion hides in tissue as bright as itself: it is at least so many times as bright as what was there. A level
    below white matter's is at least so many times as dark. None: the level counts, whatever was there."""
    texture: Field | None = None
    """The level is multiplied by 1 + texture, over the outline's box."""
    core: Core | None = None


@dataclass(frozen=True)
class Within:
    """What part of a voxel can become lesion.

    `region` is "anywhere" (all of it), "tissue" (what is grey or white matter), "white" (what is white matter), "brain"
    (fluid and vessels included), "oedema" (tissue, and of grey matter `grey_share`) or "lesion" (all of it where it is
    lesion already by more than 0.3). An anatomy of shares has "anywhere" and "tissue" alone.
    """

    region: str
    grey_share: float = 1.0


@dataclass(frozen=True, eq=False)
class Part:
    """One outline that is filled with one paint; without paint it is lesion, but looks as it did."""

    outline: Outline
    within: Within
    paint: Paint | None


@dataclass(frozen=True, eq=False)
class Push:
    """Tissue is pushed outwards from a point.

    The push grows linearly up to `farthest_mm` at the radius r and falls beyond as (r/d)^2, as around a source in an
    incompressible medium; half of it is left at sqrt(2) r.
    """

    centre_mm: NDArray[np.float64]
    radius_mm: float
    farthest_mm: float


@dataclass(frozen=True, eq=False)
class DrawnLesion:
    """A lesion: its kind (of `lesion_kinds.KINDS`), its parts in the order of painting, and what it pushes away."""

    kind: str
    parts: tuple[Part, ...] = field(default_factory=tuple)
    push: Push | None = None
