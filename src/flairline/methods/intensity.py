"""The FLAIR itself as the score: the control that every other method has to beat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flairline.types import MethodInfo, Scan, Scorer, Volume


@dataclass(frozen=True)
class Method:
    """The scan's own intensities inside the brain, zero outside."""

    info: ClassVar[MethodInfo] = MethodInfo(paper="none (control)", training="none", cost="none", role="control")

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """A scorer at once: there is nothing to learn, `healthy` is not read."""
        return self._score

    def _score(self, scan: Scan) -> Volume:
        return Volume(np.where(scan.brain.array, scan.flair.array, np.float32(0)), scan.space)
