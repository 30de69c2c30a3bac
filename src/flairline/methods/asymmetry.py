"""Brighter than the same place on the other side of the head.

The mirrored place is looked up in atlas space: the scan is laid onto the MNI152 atlas, which is symmetric, and each
voxel's z-score is compared with a neighbourhood of its place there on the other side. Where no registration is to be
had (half a brain, a knee, no nilearn) the scan is laid onto its own mirror image instead: its plane of symmetry is all
that the comparison needs, only that a shifted midline or a tumour can pull at it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flairline.errors import FlairlineError
from flairline.methods.zscore import reference
from flairline.preprocess import symmetry
from flairline.types import MethodInfo, Scan, Scorer, Volume

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Method:
    """z-score minus the brightest z-score within `tolerance_mm` of the mirrored place, not below zero.

    Attributes
    ----------
    tolerance_mm
        Brains are not mirror images: cortex and ventricles may differ by this much.
    smoothing_mm
        Standard deviation of the smoothing before the comparison, so that noise does not decide it.
    on_atlas
        Look the mirrored place up in atlas space. False: always by the scan's own mirror image, which is faster.
    """

    tolerance_mm: float = 5.0
    smoothing_mm: float = 1.0
    on_atlas: bool = True

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="left-right asymmetry of the robust z-score",
        training="none",
        cost="about ten seconds a 1 mm scan, most of it registration",
        channels=("flair", "t1"),
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
        matrix, offset = self._mirror(scan, z)
        other = ndimage.affine_transform(brightest, matrix, offset, order=1, mode="constant", cval=-3)
        score = np.where(brain, np.maximum(z - np.maximum(other, 0), 0), 0).astype(np.float32)
        return Volume(score, scan.space)

    def _mirror(self, scan: Scan, z: NDArray[np.float32]) -> symmetry.Mirror:
        """From voxel to mirrored place, in atlas space where that can be had."""
        if self.on_atlas:
            try:
                return symmetry.atlas_mirror(scan)
            except FlairlineError as error:
                log.info("%s: asymmetry by the scan's own mirror image. %s", scan.subject, error)
        return symmetry.own_mirror(z, scan.brain.array, np.array(scan.spacing_mm))
