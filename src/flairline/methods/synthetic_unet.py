"""A small 3-D U-Net that no person's label has taught: trained on synthesised brains with drawn lesions.

Synthesis after SynthSeg (Billot et al. 2023); the network is MONAI's residual UNet. Of real scans without labels it has
learned what a model before it was sure of. The package carries weights, so
`fit` needs no training; `flairline fit synthetic_unet LABEL_MAPS... -o MODEL` trains others. The score is the
probability of lesion, calibrated on synthetic scans of heads that the training did not use.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from flairline.errors import MissingExtraError
from flairline.imaging.components import ComponentRule
from flairline.learning.learner import Learner
from flairline.learning.model import ModelFolder, read_once
from flairline.learning.run import TrainingRun
from flairline.learning.volumes.label_maps import LabelMaps
from flairline.learning.volumes.sizes import SIZES
from flairline.learning.volumes.unet_scorer import UnetScorer
from flairline.postprocess.calibrated import ModelThreshold
from flairline.postprocess.confidence import ModelConfidence
from flairline.postprocess.masses import BesideMass
from flairline.postprocess.recipe import Recipe
from flairline.types import MethodInfo, Scan, Scorer

SHIPPED = Path(__file__).parent / "_weights" / "synthetic_unet"
"""The model folder that comes with the package."""
NEEDS = ("torch", "monai", "safetensors")
"""Packages of the extra `deep` that scoring needs."""
MIN_VOXELS = 5
"""Smallest component that its recipe keeps: it finds lesions of a few voxels, and few others that small."""


@dataclass(frozen=True)
class Method(Learner):
    """Lesion probability from a U-Net trained on synthetic scans, by the FLAIR and, where there is one, the T1.

    `device` is auto, cpu, cuda or mps.
    """

    device: str = "auto"

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="synthesis after Billot et al. 2023, https://doi.org/10.1016/j.media.2023.102789",
        training="none needed: weights made from synthetic scans and unlabelled real ones are in the package",
        cost="3 to 7 seconds a scan on two cores",
        channels=("flair", "t1"),
        extra="deep",
        role="default",
        learns_from="label maps",
        recipes=("synthetic_unet",),
        default_rank=1,
    )
    presets: ClassVar[tuple[str, ...]] = tuple(SIZES)

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """The scorer with the package's weights; `healthy` is not looked at."""
        return self.load(SHIPPED)

    def load(self, folder: Path) -> UnetScorer:
        """The scorer of a model folder.

        Raises
        ------
        ModelError
            The folder is missing, broken, foreign or newer.
        MissingExtraError
            torch, MONAI or safetensors is not installed.
        """
        return read_once(_read, self, folder)

    def train(self, data: LabelMaps, run: TrainingRun) -> None:
        """Train on label maps and write a model folder. Raises as `fit_unet` does, or `MissingExtraError`."""
        try:
            from flairline.learning.volumes.fit_unet import fit_unet
        except ModuleNotFoundError as error:
            raise MissingExtraError(f"Training {self.name}", "deep") from error
        fit_unet(self.name, data, run.on(self.device))

    def recipe(self, name: str, model: Path | None = None) -> Recipe:
        """The threshold that its model was calibrated to, and each lesion's probability by the same calibration."""
        folder = model or SHIPPED
        return Recipe(
            name if model is None else f"{name}={model}",
            self.name,
            ComponentRule(MIN_VOXELS),
            ModelThreshold(folder, self.name),
            "the network trained on synthetic scans, because the extra deep is installed" if name == "default" else "",
            model=model,
            shipped=SHIPPED if model is None else None,
            rater=ModelConfidence(folder, self.name),
            mask_rules=(BesideMass(6.0, 0.3, sure=0.7, ramp_mm=3.0),),
        )

    def obstacle(self) -> str:
        """A package of the extra `deep` or the weights may be missing."""
        missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
        if missing:
            return f"because {missing[0]} is missing (pip install 'flairline[deep]' adds it)"
        return "" if SHIPPED.exists() else "for lack of weights"


def _read(method: Method, model: ModelFolder) -> UnetScorer:
    return UnetScorer(method.name, model, method.device, model.config_of(method.family))
