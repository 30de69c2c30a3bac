"""Brighter than healthy people are at the same place of the brain: the registered mean, without any network.

The statistical baseline in the code of Meissen et al. 2022 (https://github.com/FeliMe/feature-autoencoder, there BM).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from flairline.learning.atlas.learner import AtlasLearner
from flairline.learning.atlas.scorer import AtlasScorer
from flairline.learning.data import TrainingData, scratch_model
from flairline.learning.model import ModelFolder, read_once
from flairline.learning.run import TrainingRun
from flairline.types import MethodInfo, Scan, Scorer


@dataclass(frozen=True)
class Method(AtlasLearner):
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

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """Learn from scans in memory. Raises `InputError` if there are too few. For more, see `train`."""
        with scratch_model(self, healthy) as folder:
            return AtlasScorer.read(self, ModelFolder(folder))

    def load(self, folder: Path) -> AtlasScorer:
        """The scorer of a model folder.

        Raises
        ------
        ModelError
            The folder is missing, broken, foreign or newer.
        MissingExtraError
            safetensors is not installed; torch is not needed.
        """
        return read_once(AtlasScorer.read, self, folder)

    def train(self, data: TrainingData, run: TrainingRun) -> None:
        """Learn and write a model folder. Raises as `fit_atlas` does."""
        from flairline.learning.atlas.fit_atlas import fit_atlas

        fit_atlas(self, data, run)
