"""Presets of the U-Net as plain values. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Size:
    """A preset: the network's features by level, crops a step, steps, and how many synthetic scans to learn from.

    With `template` nilearn's MNI152 average brain is one more anatomy to learn from, beside the label maps.
    """

    features: tuple[int, ...]
    batch: int
    steps: int
    scans: int
    learning_rate: float = 2e-3
    template: bool = True
    validations: int = 5
    """How often, at least, the held-out scans are looked at on the way."""
    frozen: bool = False
    """Batch norm keeps the statistics that it starts with, as in scoring: two crops say little of a scan's."""
    folded: bool = True
    """The network is a `FoldedUNet`; plain ones are in older model folders only."""
    t1: bool = True
    """A second image is taken where there is one. Older model folders have neither this nor the next."""
    placed: bool = True
    """The network is told where in the brain a voxel lies."""
    half: bool = False
    """Weights are stored in 16 bits: a large network must not take more of the package than a small one does."""


@dataclass(frozen=True)
class Inlets:
    """What a network takes beside the FLAIR."""

    t1: bool = False
    placed: bool = False

    @classmethod
    def of(cls, size: Mapping[str, Any]) -> Inlets:
        """Of a size as a model folder's configuration has it; an older one says nothing of them."""
        return cls(bool(size.get("t1", False)), bool(size.get("placed", False)))


SIZES = {
    "small": Size((16, 32, 64, 96, 128), 2, 10000, 300),
    "further": Size((16, 32, 64, 96, 128), 2, 12000, 470, 1e-3, frozen=True),
    "short": Size((16, 32, 64, 96, 128), 2, 300, 117, 5e-4, validations=2, frozen=True),
    "mean": Size((16, 32, 64, 96, 128), 2, 0, 0),
    "large": Size((32, 64, 112, 160, 224), 4, 60000, 1200, 1e-3, half=True),
    "test": Size((4, 4, 4, 4, 4), 1, 4, 3, template=False),
}
"""`small` takes an hour's steps on two cores. `further` and `short` go on from a `small` model on other scans.
`mean` calibrates the mean of such models. `large` is for a GPU (studies/train_on_gpu.sh)."""
