"""Scores scans by a model's mean and standard deviation, on the scan's own grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np

from flairline.errors import ModelError
from flairline.learning.atlas.learner import AtlasLearner
from flairline.learning.atlas.moments import Maps, Onto, onto_scan
from flairline.learning.atlas.placing import Frame, Placed, place
from flairline.learning.model import CONFIG, WEIGHTS, ModelFolder
from flairline.learning.slices.slices import Intensity, scaled_intensities
from flairline.types import FloatArray, Scan, Volume


@dataclass(frozen=True, eq=False)
class AtlasModel:
    """What was learned: where the maps lie, on which intensities they are, and the maps."""

    frame: Frame
    intensity: Intensity
    maps: Maps

    @classmethod
    def read(cls, folder: ModelFolder, family: str) -> AtlasModel:
        """The model in a folder. Raises `ModelError` or `MissingExtraError`."""
        frame, intensity = _described(folder.config_of(family), folder)
        try:
            maps = Maps.of(folder.arrays(), frame.space.shape)
        except (KeyError, ValueError) as error:
            msg = f"{folder.path / WEIGHTS} does not hold the maps that {CONFIG} describes. Copy both files again."
            raise ModelError(msg) from error
        return cls(frame, intensity, maps)


def _described(config: dict[str, Any], folder: ModelFolder) -> tuple[Frame, Intensity]:
    try:
        intensity = config["intensity"]
        if intensity not in get_args(Intensity):
            raise ValueError(intensity)
        return Frame.of(config), intensity
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{folder.path / CONFIG} lacks the grid of the maps or how intensities are scaled. Train the model again."
        raise ModelError(msg) from error


@dataclass(frozen=True, eq=False)
class AtlasScorer:
    """Scores scans with one model.

    Mean and standard deviation come to the scan, not the scan to them: they are smooth and lose little on the way,
    while a lesion of one voxel stays one voxel, as bright as it is.
    """

    method: AtlasLearner
    model: AtlasModel

    @classmethod
    def read(cls, method: AtlasLearner, model: ModelFolder) -> AtlasScorer:
        """The scorer of a model folder. Raises `ModelError` or `MissingExtraError`."""
        return cls(method, AtlasModel.read(model, method.family))

    def warm(self) -> None:
        """Nothing is left to be read."""

    def __call__(self, scan: Scan) -> Volume:
        """The score on the scan's grid, at least zero; 0 where no scan of the training had brain."""
        z = self.z(scan).array
        return Volume(np.abs(z) if self.method.sign == "absolute" else np.maximum(z, np.float32(0)), scan.space)

    def z(self, scan: Scan) -> Volume:
        """Standard deviations above the mean, negative below it."""
        if not scan.brain.array.any():
            return Volume(np.zeros(scan.space.shape, np.float32), scan.space)
        return self.z_placed(scan, self.place(scan))

    def z_placed(self, scan: Scan, placed: Placed) -> Volume:
        """As `z`, of a scan whose place is known."""
        seen, normal = self._seen(scan), self._normal(scan, placed)
        mean, std = normal.maps
        z = (seen - mean) / (std + np.float32(self.method.eps))
        return Volume(np.where(normal.known & scan.brain.array, z, np.float32(0)).astype(np.float32), scan.space)

    def reconstruction(self, scan: Scan, only: int | None = None) -> tuple[Volume, Volume]:
        """The scan's intensities in [0, 1], and the mean at their places, on the scan's grid.

        With `only` all axial slices but that one are zero.
        """
        images = self.reconstruction_placed(scan, self.place(scan))
        if only is not None:
            other = np.arange(scan.space.shape[2]) != only
            for image in images:
                image.array[:, :, other] = 0
        return images

    def reconstruction_placed(self, scan: Scan, placed: Placed) -> tuple[Volume, Volume]:
        """As `reconstruction`, of a scan whose place is known."""
        normal = self._normal(scan, placed)
        mean = np.where(normal.known & scan.brain.array, normal.maps[0], np.float32(0))
        return Volume(self._seen(scan), scan.space), Volume(mean, scan.space)

    def place(self, scan: Scan) -> Placed:
        """Where the scan lies on the model's grid."""
        return place(scan, self.model.frame, self.method.register)

    def _seen(self, scan: Scan) -> FloatArray:
        brain = scan.brain.array
        return np.where(brain, scaled_intensities(scan.flair.array, brain, self.model.intensity), np.float32(0))

    def _normal(self, scan: Scan, placed: Placed) -> Onto:
        maps = self.model.maps
        return onto_scan((maps.mean, self._std), maps.count > 0, scan, self.model.frame, placed)

    @cached_property
    def _std(self) -> FloatArray:
        return self.model.maps.steady_std(self.method.min_scans, self.method.min_std_share)
