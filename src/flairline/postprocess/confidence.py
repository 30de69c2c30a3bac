"""How likely each component of a mask is a lesion, by what a model's calibration says. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flairline.learning.calibration import SIMPLE, component_features, probability
from flairline.learning.model import ModelFolder
from flairline.types import Volume

TINY = 1e-6


class Rater(Protocol):
    """Tells how likely a component is a lesion; a frozen dataclass of plain values."""

    def rate(self, score: Volume, labels: NDArray[np.integer]) -> NDArray[np.floating]:
        """Probability of each numbered component of `labels` (x, y, z), in the order of the numbers; (components,)."""


@dataclass(frozen=True)
class ModelConfidence:
    """By the calibration that a model folder holds."""

    folder: Path
    method: str

    def rate(self, score: Volume, labels: NDArray[np.integer]) -> NDArray[np.floating]:
        """As `Rater`. Raises `ModelError` if the folder is broken."""
        return lesion_probabilities(score, labels, ModelFolder(self.folder).config_of(self.method)["calibration"])


def lesion_probabilities(
    score: Volume, labels: NDArray[np.integer], calibration: Mapping[str, Any]
) -> NDArray[np.float64]:
    """Probability of each numbered component to touch a lesion, in the order of the numbers; (components,).

    Parameters
    ----------
    score
        Calibrated probabilities of voxels; they are above zero in all of the brain.
    labels
        Numbered components (x, y, z), 0 elsewhere, as `components.label_components` gives them.
    calibration
        What the model's config.json holds under ``calibration``. Its share of true finds is that of synthetic scans.
    """
    names, inside = calibration.get("lesion_features", SIMPLE), labels > 0
    share = np.clip(score.array[inside], TINY, 1 - TINY)
    logits = np.zeros(labels.shape, np.float32)
    logits[inside] = np.log(share / (1 - share))
    features = component_features(labels, logits, score.space.voxel_ml, score.array > 0, names)
    return probability(features, calibration["lesion_weights"])
