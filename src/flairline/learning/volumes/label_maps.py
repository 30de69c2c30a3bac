"""What the U-Net learns from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flairline.errors import InputError
from flairline.learning.data import TrainingData

HELD_OUT = 2
"""Label maps that only validation and calibration scans are made from."""


@dataclass(frozen=True)
class LabelMaps:
    """Label maps to synthesise scans from.

    Attributes
    ----------
    paths
        Whole-head label maps with FreeSurfer's numbers at 1 mm. The last two are held out for validation; nilearn's
        average brain, where the preset has it, is not.
    shapes
        Lesion masks of other patients. Empty: random shapes only.
    unlabelled
        Real scans of which a model to start from teaches what it is sure of (`self_training`). No truth of them is
        read.
    """

    paths: tuple[Path, ...]
    shapes: tuple[Path, ...] = ()
    unlabelled: TrainingData | None = None

    def check(self) -> None:
        """Raise `InputError` if there are too few label maps."""
        if len(self.paths) <= HELD_OUT:
            msg = f"Wanted at least {HELD_OUT + 1} label maps ({HELD_OUT} are held out), got {len(self.paths)}."
            raise InputError(msg)
