"""Tissues that rebuild the scan: the brightest of them is lesion. It learns from scans that have lesions.

Source: Atlason et al. 2019, https://doi.org/10.1117/12.2515180 and https://doi.org/10.1016/j.nicl.2019.102085.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from flairline.errors import MissingExtraError
from flairline.learning.data import TrainingData
from flairline.learning.from_scans import FromScans
from flairline.learning.model import ModelFolder
from flairline.learning.run import TrainingRun
from flairline.learning.volumes.fit_mixture import MixtureLearner, MixtureTraining, fit_mixture
from flairline.learning.volumes.mixture_scorer import MixtureScorer
from flairline.types import MethodInfo


@dataclass(frozen=True)
class Method(MixtureLearner, FromScans[MixtureScorer]):
    """Share of a voxel that is of the tissue brightest in FLAIR.

    A network without skips gives each voxel a softmax over four tissues, and one non-negative brightness for each
    tissue and image must rebuild FLAIR and T1 from it. Where others learn what is healthy, this learns from scans that
    have lesions, without their truths: train it on patients. A T1 parts lesions from bright cortex; without one it
    scores all the same. No number was published that could be read. The fields are those of `MixtureLearner`.
    """

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="Atlason et al. 2019, https://doi.org/10.1016/j.nicl.2019.102085",
        training="on scans with lesions, their truths unused: flairline fit segae",
        cost="seconds a scan on two cores",
        extra="deep",
        channels=("flair", "t1"),
        role="learned",
        learns_from="scans",
    )
    presets: ClassVar[Mapping[str, MixtureTraining]] = {
        "paper": MixtureTraining({"patch": 80}, 50_000, 4, validate_every=500),
        "small": MixtureTraining({"spacing_mm": 2.0, "patch": 32, "widths": (16, 32, 64)}, 4_000, 4),
        "test": MixtureTraining(
            {"spacing_mm": 6.0, "patch": 16, "widths": (8, 16)}, 40, 2, 1e-2, validate_every=20, validation_patches=4
        ),
    }

    def read(self, model: ModelFolder) -> MixtureScorer:
        """The scorer of a model folder."""
        return MixtureScorer.read(self, model)

    def train(self, data: TrainingData, run: TrainingRun) -> None:
        """Train and write a model folder. Raises as `fit_mixture` does, or `MissingExtraError`."""
        try:
            fit_mixture(self, data, run)
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"Training {self.name}", "deep") from error
