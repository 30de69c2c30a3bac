"""Brighter than healthy people are at the same place of the brain: the registered mean, without any network.

The statistical baseline in the code of Meissen et al. 2022 (https://github.com/FeliMe/feature-autoencoder, there BM).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from flairline.learning.atlas.learner import AtlasLearner
from flairline.learning.atlas.scorer import AtlasScorer
from flairline.learning.data import TrainingData
from flairline.learning.from_scans import FromScans
from flairline.learning.model import ModelFolder
from flairline.learning.run import TrainingRun
from flairline.types import MethodInfo


@dataclass(frozen=True)
class Method(AtlasLearner, FromScans[AtlasScorer]):
    """(x - mean) / (std + eps) with voxel-wise mean and unbiased standard deviation of registered healthy scans.

    The fields are those of `AtlasLearner`: which sign counts, how scans come to one scale, whether they are registered,
    and how few scans are too few for a standard deviation of their own.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="voxel-wise z-score of registered healthy scans; Meissen et al. 2022's code",
        training="on healthy scans: flairline fit atlas_zscore",
        cost="an affine registration and a few seconds a scan",
        extra="deep",
        role="learned",
        learns_from="scans",
        reconstructs=True,
    )
    presets: ClassVar[Mapping[str, tuple[float, float]]] = {
        "paper": (1.0, 2.0),
        "small": (2.0, 3.0),
        "test": (4.0, 6.0),
    }

    def read(self, model: ModelFolder) -> AtlasScorer:
        """The scorer of a model folder; torch is not needed."""
        return AtlasScorer.read(self, model)

    def train(self, data: TrainingData, run: TrainingRun) -> None:
        """Learn and write a model folder. Raises as `fit_atlas` does."""
        from flairline.learning.atlas.fit_atlas import fit_atlas

        fit_atlas(self, data, run)
