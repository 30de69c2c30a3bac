"""FLAIR histogram equalisation, the baseline of Meissen et al. 2021.

Meissen F, Kaissis G, Rueckert D. Challenging Current Semi-Supervised Anomaly Segmentation Methods for Brain MRI.
BrainLes 2021. Section 3.3: the equalised FLAIR itself is the anomaly map.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from flairline.imaging.components import ComponentRule
from flairline.imaging.equalise import empirical_cdf
from flairline.postprocess.recipe import Recipe
from flairline.postprocess.threshold import BrainQuantile
from flairline.types import MethodInfo, Scan, Scorer, Volume


@dataclass(frozen=True)
class Method:
    """The share of the brain's voxels that are no brighter: the exact empirical CDF, ties at the upper rank.

    Attributes
    ----------
    legacy_integer
        Truncate intensities to integers first, as the published code does (there, scikit-image then gives every
        grey level its own bin, which is the exact CDF of the integers). A scan scaled to [0, 1] collapses.
    """

    legacy_integer: bool = False

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Meissen et al. 2021",
        training="none",
        cost="under a second a 1 mm scan",
        marks_fixed_share=True,
        published_as="FLAIR histogram equalisation",
        recipes=("paper", "brightest"),
    )

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """A scorer at once: there is nothing to learn, `healthy` is not read."""
        return self._score

    def recipe(self, name: str, model: Path | None = None) -> Recipe:
        """ "paper": the published post-processing, without a threshold; "brightest": a fixed share of the brain."""
        if name == "paper":
            return Recipe(name, "histeq", ComponentRule(20, 26, legacy_filled_area=True), None, "the published method")
        return Recipe(name, "histeq", ComponentRule(), BrainQuantile(0.98), "the brightest 2 % of the brain")

    def _score(self, scan: Scan) -> Volume:
        score = np.zeros(scan.space.shape, dtype=np.float32)
        values = scan.flair.array[scan.brain.array]
        score[scan.brain.array] = empirical_cdf(np.trunc(values) if self.legacy_integer else values)
        return Volume(score, scan.space)
