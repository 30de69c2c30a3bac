"""Generators, and autoencoders whose decoder is one: it plays against a critic of images.

Layers and normalisations as in the comparative study of Baur et al. 2021: the encoder has batch norm, generator and
critic "layer".
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from flairline.learning.networks.autoencoders import (
    LOG_SIGMA_RANGE,
    SQUEEZED,
    Architecture,
    Decoder,
    Encoder,
    Output,
    glorot,
)
from flairline.learning.networks.critic import Critic

DARK = -2.0
"""What a sigmoid makes an eighth of: images begin as dark as slices are, most of which is background."""


class CodeEncoder(nn.Module):
    """Codes of images: `heads` tensors (n, latent), or (n, latent, bottom, bottom) where the code is spatial."""

    def __init__(self, architecture: Architecture, heads: int) -> None:
        super().__init__()
        channels, flat = architecture.widths[-1], SQUEEZED * architecture.bottom**2
        self.encoder = Encoder(architecture)
        self.spatial = architecture.bottleneck == "vae_spatial"
        self.squeeze = nn.Identity() if self.spatial else nn.Sequential(nn.Conv2d(channels, SQUEEZED, 1), nn.Flatten())
        self.heads = nn.ModuleList(
            nn.Conv2d(channels, architecture.latent, 1) if self.spatial else nn.Linear(flat, architecture.latent)
            for _ in range(heads)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """What each head says of images (n, 1, size, size)."""
        features = self.squeeze(self.encoder(images)[-1])
        return tuple(head(features) for head in self.heads)


class Generator(nn.Module):
    """Images of codes."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        channels, bottom = architecture.widths[-1], architecture.bottom
        spatial = architecture.bottleneck == "vae_spatial"
        self.back: nn.Module = nn.Identity()
        if not spatial:
            dense = nn.Linear(architecture.latent, SQUEEZED * bottom**2)
            self.back = nn.Sequential(dense, nn.Unflatten(1, (SQUEEZED, bottom, bottom)))
        self.widen = nn.Conv2d(architecture.latent if spatial else SQUEEZED, channels, 1)
        self.decoder = Decoder(replace(architecture, norm="layer"))
        self.out = nn.Sigmoid() if architecture.bottleneck == "tanh" else nn.Identity()

    def forward(self, codes: Tensor) -> Tensor:
        """Images (n, 1, size, size)."""
        return self.out(self.decoder(self.widen(self.back(codes))))


class InvertedGenerator(nn.Module):
    """A generator of images of N(0, 1), its critic, and an encoder that finds the code of an image.

    The encoder ends in a tanh, as published: of the codes that the generator learned from, it reaches those within
    [-1, 1].
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.latent = architecture.latent
        self.encoder, self.generator = CodeEncoder(architecture, heads=1), Generator(architecture)
        self.critic = Critic(architecture)
        self.apply(glorot)
        nn.init.constant_(self.generator.decoder.out.bias, DARK)  # type: ignore[arg-type]

    def encode(self, images: Tensor) -> Tensor:
        """Codes (n, latent) in [-1, 1]."""
        (codes,) = self.encoder(images)
        return torch.tanh(codes)

    def forward(self, images: Tensor) -> Output:
        """The generator's image for the code of each image."""
        return Output(self.generator(self.encode(images)))


class CriticisedAutoencoder(nn.Module):
    """A variational autoencoder whose decoder also plays against a critic. Codes are drawn while training alone."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.encoder, self.generator = CodeEncoder(architecture, heads=2), Generator(architecture)
        self.critic = Critic(architecture)
        self.apply(glorot)

    def drawn(self, mu: Tensor, log_sigma: Tensor) -> Tensor:
        """Codes of the distribution that the encoder gives."""
        return mu + torch.exp(log_sigma) * torch.randn_like(mu)

    def forward(self, images: Tensor) -> Output:
        """Reconstruct images (n, 1, size, size)."""
        mu, log_sigma = self.encoder(images)
        log_sigma = log_sigma.clamp(*LOG_SIGMA_RANGE)
        return Output(self.generator(self.drawn(mu, log_sigma) if self.training else mu), mu, log_sigma)
