"""Brighter than the same place on the other side of the head.

The scan is laid onto its own mirror image by an affine map, so that the plane of symmetry is found, wherever the head
lay in the scanner; each voxel's z-score is then compared with a neighbourhood of its mirrored place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.methods.zscore import reference
from flairline.types import MethodInfo, Scan, Scorer, Volume

GRID_MM = 4.0
"""Spacing at which the symmetry is looked for."""


@dataclass(frozen=True)
class Method:
    """z-score minus the brightest z-score within `tolerance_mm` of the mirrored place, not below zero.

    Attributes
    ----------
    tolerance_mm
        Brains are not mirror images: cortex and ventricles may differ by this much.
    smoothing_mm
        Standard deviation of the smoothing before the comparison, so that noise does not decide it.
    """

    tolerance_mm: float = 5.0
    smoothing_mm: float = 1.0

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="left-right asymmetry of the robust z-score",
        training="none",
        cost="about three seconds a 1 mm scan",
    )

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """A scorer at once: there is nothing to learn, `healthy` is not read."""
        return self._score

    def _score(self, scan: Scan) -> Volume:
        brain, spacing = scan.brain.array, np.array(scan.spacing_mm)
        z = np.where(brain, np.clip(reference(scan).z(scan.flair.array), -3, 10), -3).astype(np.float32)
        z = ndimage.gaussian_filter(z, self.smoothing_mm / spacing, truncate=3)
        size = 2 * np.rint(self.tolerance_mm / spacing).astype(int) + 1
        brightest = ndimage.maximum_filter(z, size=tuple(size))
        matrix, offset = mirror(z, brain, spacing)
        other = ndimage.affine_transform(brightest, matrix, offset, order=1, mode="constant", cval=-3)
        score = np.where(brain, np.maximum(z - np.maximum(other, 0), 0), 0).astype(np.float32)
        return Volume(score, scan.space)


def mirror(
    image: NDArray[np.float32], brain: NDArray[np.bool_], spacing_mm: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and offset that lead from a voxel to its mirrored place: a reflection in the best plane of symmetry.

    The plane's normal is left-right but for two turns; its place and these turns are those at which the coarse image
    and its reflection differ least.
    """
    from scipy.optimize import minimize

    step = np.maximum(1, np.rint(GRID_MM / spacing_mm)).astype(int)
    blurred = ndimage.gaussian_filter(np.clip(image, -3, 3), step / 2.5, truncate=2)[:: step[0], :: step[1], :: step[2]]
    inside = brain[:: step[0], :: step[1], :: step[2]]
    places = np.argwhere(inside) * step * spacing_mm
    centre = places.mean(axis=0)

    def reflected(parameters: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        yaw, roll, shift = parameters[0] / 50, parameters[1] / 50, parameters[2]
        normal = np.array([1.0, yaw, roll])
        normal = normal / np.linalg.norm(normal)
        reflection = np.eye(3) - 2 * np.outer(normal, normal)
        return reflection, centre + shift * normal - reflection @ (centre + shift * normal)

    values = blurred[inside]

    def difference(parameters: NDArray[np.floating]) -> float:
        reflection, offset = reflected(parameters)
        there = (places @ reflection.T + offset) / (step * spacing_mm)
        found = ndimage.map_coordinates(blurred, there.T, order=1, mode="constant", cval=-3)
        return float(np.abs(found - values).mean())

    best = minimize(difference, np.zeros(3), method="Powell", options={"maxiter": 6, "xtol": 0.1, "ftol": 1e-3}).x
    reflection, offset = reflected(best)
    scale = np.diag(spacing_mm)
    unscale = np.diag(1 / spacing_mm)
    return unscale @ reflection @ scale, unscale @ offset
