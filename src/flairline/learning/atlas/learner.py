"""What a method of voxel-wise statistics says to the code that learns and scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from flairline.learning.learner import Learner
from flairline.learning.slices.learner import Sign
from flairline.learning.slices.slices import Intensity


@dataclass(frozen=True)
class AtlasLearner(Learner):
    """Fields of a method that compares a scan with the mean and deviation of registered healthy scans.

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

    presets: ClassVar[Mapping[str, tuple[float, float]]]
    """Preset -> voxel sides (mm) of the maps and of the registration."""
