"""Brighter than healthy people are at the same place of the brain: the registered mean, without any network.

The statistical baseline in the code of Meissen et al. 2022 (https://github.com/FeliMe/feature-autoencoder, there BM).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from flairline.learning.atlas.scorer import AtlasModel, AtlasScorer
from flairline.learning.data import TrainingData, scratch_model
from flairline.learning.slices.slice_method import Sign
from flairline.learning.slices.slices import Intensity
from flairline.types import MethodInfo, Scan, Scorer


@dataclass(frozen=True)
class Method:
    """(x - mean) / (std + eps) with voxel-wise mean and unbiased standard deviation of registered healthy scans.

    Attributes
    ----------
    sign
        "positive": what is brighter than usual, for lesions in FLAIR; "absolute": what differs.
    intensity
        How `fit` brings scans to one scale, as `SliceGrid` does; a model scores with its own.
    register
        Lay scans onto the MNI atlas by an affine map. Without it they must share their coordinates already, those of
        the first scan learned from, whose grid the model then has.
    min_scans
        Where fewer scans were seen, the standard deviation is the one pooled over the brain: that of two or three
        numbers says next to nothing. Where none was seen the score is 0: of a few patients' lesion-free slices, that
        can be half of the brain, and what is ill there is not found.
    min_std_share
        The standard deviation is nowhere less than this share of the pooled one. It is 0 where the scans that were
        seen agree by chance or all lie at the end of the intensity range, and a score would be huge there.
    eps
        Added to the standard deviation.
    """

    sign: Sign = "positive"
    intensity: Intensity = "unit"
    register: bool = True
    min_scans: int = 4
    min_std_share: float = 0.25
    eps: float = 1e-7

    info: ClassVar[MethodInfo] = MethodInfo(
        paper="voxel-wise z-score of registered healthy scans; Meissen et al. 2022's code",
        training="on healthy scans: flairline fit atlas_zscore",
        cost="an affine registration and a few seconds a scan",
        extra="deep",
    )
    learns_from: ClassVar[str] = "scans"
    family: ClassVar[str] = "atlas_zscore"
    presets: ClassVar[Mapping[str, tuple[float, float]]] = {
        "paper": (1.0, 2.0),
        "small": (2.0, 3.0),
        "test": (4.0, 6.0),
    }
    """Preset -> voxel sides (mm) of the maps and of the registration."""

    @property
    def name(self) -> str:
        """The method's name: its file's."""
        return __name__.rsplit(".", 1)[-1]

    def fit(self, healthy: Iterable[Scan] = ()) -> Scorer:
        """Learn from scans in memory. Raises `InputError` if there are too few. For more, see `train`."""
        with scratch_model(self, healthy) as folder:
            return AtlasScorer(self, AtlasModel.read(folder, self.family))

    def load(self, folder: Path) -> AtlasScorer:
        """The scorer of a model folder.

        Raises
        ------
        ModelError
            The folder is missing, broken, foreign or newer.
        MissingExtraError
            safetensors is not installed; torch is not needed.
        """
        return AtlasScorer(self, _read(Path(folder).resolve(), self.family))

    def train(self, healthy: TrainingData, folder: Path, **options: Any) -> None:
        """Learn and write a model folder; `options` as `_atlas.fit.fit_atlas` takes them."""
        from flairline.learning.atlas.fit_atlas import fit_atlas

        fit_atlas(self, healthy, folder, **options)


@lru_cache(maxsize=4)
def _read(folder: Path, family: str) -> AtlasModel:
    """A process reads a model once."""
    return AtlasModel.read(folder, family)
