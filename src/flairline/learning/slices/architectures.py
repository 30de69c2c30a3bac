"""Sizes of networks that several methods share: preset -> keyword values of `networks.Architecture`. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VAE_ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
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
"""`vae`, `vae_restoration` and `vae_gradient` read the same model folders, so they are the same network."""
