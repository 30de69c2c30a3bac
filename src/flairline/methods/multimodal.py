"""Bright in FLAIR and not bright in T1; with a T2, bright there too. Falls back on the FLAIR where it is alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from flairline.imaging.tissue import normal_tissue
from flairline.methods.zscore import reference
from flairline.types import MethodInfo, Scan, Scorer, Volume


@dataclass(frozen=True)
class Method:
    """The FLAIR's z-score, less what the T1 is too bright and the T2 too dark for a lesion.

    Lesions with much water are bright in FLAIR and T2 and not bright in T1; fat, blood and flow are bright in both
    FLAIR and T1. Each half-width that the T1 lies above its peak, or the T2 below it, takes one off the score.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="robust z-scores of FLAIR, T1 and T2 together",
        training="none",
        cost="about a second a 1 mm scan",
        channels=("flair", "t1", "t2"),
    )

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """A scorer at once: there is nothing to learn, `healthy` is not read."""
        return self._score

    def _score(self, scan: Scan) -> Volume:
        brain = scan.brain.array
        z = reference(scan).z(scan.flair.array[brain])
        if scan.t1 is not None:
            t1 = scan.t1.array[brain]
            z = z - np.maximum(normal_tissue(t1).z(t1), 0)
        if scan.t2 is not None:
            t2 = scan.t2.array[brain]
            z = z - np.maximum(-normal_tissue(t2).z(t2), 0)
        score = np.zeros(scan.space.shape, dtype=np.float32)
        score[brain] = np.maximum(z, 0)
        return Volume(score, scan.space)
