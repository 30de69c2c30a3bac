"""Presets of slice-wise methods: how they are trained, and networks that several share. Plain values, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Architectures = Mapping[str, Mapping[str, Any]]
"""Preset -> keyword values of `networks.autoencoders.Architecture`."""


@dataclass(frozen=True)
class Training:
    """A preset's training. `epochs` or `steps`, whichever ends first; validations come once an epoch or more often."""

    batch: int
    learning_rate: float
    schedule: str
    epochs: int
    steps: int
    validate_every: int
    patience: int
    validation_slices: int = 256


TRAININGS = {
    "paper": Training(8, 1e-4, "constant", 1000, 10**9, 10**9, 5, 10**9),
    "small": Training(16, 1e-3, "cosine", 10**9, 20_000, 100, 40),
    "test": Training(4, 3e-3, "cosine", 10**9, 40, 20, 40, 16),
}
"""`paper`: Baur et al. 2021 (methods' constants, five epochs of patience; the best weights are kept, not the last).
`small`: two cores and a few minutes."""

VAE_ARCHITECTURES: Architectures = {
    "paper": {
        "bottleneck": "vae",
        "filters": 32,
        "max_filters": 128,
        "bottom": 8,
        "latent": 128,
        "dropout": 0.1,
        "norm": "batch",
    },
    "small": {"bottleneck": "vae", "filters": 16, "max_filters": 64, "bottom": 8, "latent": 128, "dropout": 0.1},
    "test": {"bottleneck": "vae", "size": 32, "filters": 4, "max_filters": 8, "bottom": 8, "latent": 8},
}
"""Methods that read the same model folders are the same network."""


def dense_or_spatial(bottleneck: str, **others: Any) -> Architectures:
    """The comparative study's autoencoder with a bottleneck "dense" or "spatial"; `others` are of all its presets."""
    return {
        "paper": {"bottleneck": bottleneck, **others},
        "small": {"bottleneck": bottleneck, "filters": 16, "max_filters": 64, **others},
        "test": {"bottleneck": bottleneck, "size": 32, "filters": 4, "max_filters": 8, "latent": 8, **others},
    }
