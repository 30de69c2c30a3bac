"""The FLAIR minus its own Gaussian: the second control, what is brighter than its surroundings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from flairline.types import MethodInfo, Scan, Scorer, Volume


@dataclass(frozen=True)
class Method:
    """Intensity minus the brain's intensity around it, weighted by a Gaussian; zero outside the brain.

    The mean is taken over brain voxels only (a normalised convolution), so that the brain's rim is compared with brain
    and not with the background.

    Attributes
    ----------
    sigma_mm
        Standard deviation of the Gaussian. Not tuned: about the radius of the ventricles, wider than most MS lesions.
    """

    sigma_mm: float = 10.0

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="none (control)", training="none", cost="about a second a 1 mm scan", role="control"
    )

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """A scorer at once: there is nothing to learn, `healthy` is not read."""
        return self._score

    def _score(self, scan: Scan) -> Volume:
        brain = scan.brain.array
        sigma = [self.sigma_mm / side for side in scan.spacing_mm]
        # Relative to the brain's mean, so that float32 keeps its digits and the background's value does not matter.
        values = np.where(brain, scan.flair.array - scan.flair.array[brain].mean(), np.float32(0))
        weight = ndimage.gaussian_filter(brain.astype(np.float32), sigma, mode="constant", truncate=3.0)
        around = ndimage.gaussian_filter(values, sigma, mode="constant", truncate=3.0)
        score = np.zeros(scan.space.shape, np.float32)
        score[brain] = values[brain] - around[brain] / weight[brain]
        return Volume(score, scan.space)
