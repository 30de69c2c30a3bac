"""A method: the smoothed FLAIR."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from flairline.types import MethodInfo, Scan, Scorer, Volume


@dataclass(frozen=True)
class Method:
    sigma_mm: float = 2.0

    info: ClassVar[MethodInfo] = MethodInfo(paper="An outside paper, 2024", training="none", cost="a moment a scan")

    def fit(self, healthy=()) -> Scorer:
        return self._score

    def _score(self, scan: Scan) -> Volume:
        smooth = ndimage.gaussian_filter(scan.flair.array, [self.sigma_mm / side for side in scan.spacing_mm])
        return Volume(np.where(scan.brain.array, smooth, 0).astype(np.float32), scan.space)
