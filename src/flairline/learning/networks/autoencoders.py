"""The convolutional autoencoders of Baur et al. 2021: one encoder and decoder, several bottlenecks.

Baur C, Denner S, Wiestler B, Navab N, Albarqouni S. Autoencoders for unsupervised anomaly segmentation in brain MR
images: a comparative study. Medical Image Analysis 2021. A network takes images (n, 1, size, size) in [0, 1] and gives
an `Output`. Another bottleneck is one more entry of `bottleneck_of`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from flairline.learning.networks.dropout import Dropout, SkipDropout

SLOPE = 0.3
"""Of the leaky rectifier, the default of the framework that the published models were written in."""
SQUEEZED = 16
"""Channels between the encoder and a dense bottleneck."""
LOG_SIGMA_RANGE = (-10.0, 10.0)

Bottleneck = Literal["dense", "spatial", "vae", "vae_spatial", "tanh", "mixture", "mixture_spatial"]
Norm = Literal["batch", "affine", "instance", "layer", "none"]
NORM_EPS = 1e-3
"""Added to variances, the published framework's."""


@dataclass(frozen=True)
class Architecture:
    """The size of a network; plain values, stored in a model's config.json.

    Attributes
    ----------
    size
        Side of the images in pixels.
    filters, max_filters
        Channels of the first stage, doubled by each further one up to the maximum.
    bottom
        Side of the smallest feature map.
    bottleneck
        "dense" and "vae" have `latent` numbers, "spatial" has the smallest feature map; "mixture" has `latent` numbers
        and "mixture_spatial" so many at each place of the smallest feature map (`networks.mixture`); "tanh" and
        "vae_spatial" likewise, see `networks.generator`.
    norm
        "affine" is what the published code computes: its batch norm never left inference mode, so that it scales and
        shifts each channel and normalises nothing. "layer" normalises each channel of an image over its pixels and
        scales and shifts each pixel, as the study's generators and critics do.
    dropout
        Share of the bottleneck's units that is dropped.
    skip_dropout
        Share of the skip connections' channels that is dropped, where there are any.
    components, latent_w
        Of a mixture: how many there are, and numbers (of each place) that decide where they lie.
    legacy_responsibilities, legacy_bypass, legacy_patch_critic
        Of a mixture (`networks.mixture`) and of a critic (`networks.critic`): slips of published code, stored because
        a network that was trained with one must be read and scored with it.
    """

    size: int = 128
    filters: int = 32
    max_filters: int = 128
    bottom: int = 8
    bottleneck: Bottleneck = "dense"
    latent: int = 128
    norm: Norm = "batch"
    dropout: float = 0.1
    skip_dropout: float = 0.5
    components: int = 9
    latent_w: int = 1
    legacy_responsibilities: bool = False
    legacy_bypass: bool = False
    legacy_patch_critic: bool = False

    @property
    def widths(self) -> list[int]:
        """Channels of each stage, from the image to the bottom."""
        stages = math.log2(self.size / self.bottom)
        if stages < 1 or not stages.is_integer():
            msg = f"a size of {self.size} pixels does not halve down to {self.bottom}"
            raise ValueError(msg)
        return [min(self.max_filters, self.filters * 2**stage) for stage in range(int(stages))]


@dataclass
class Output:
    """What a network makes of images (n, 1, size, size).

    `mu` and `log_sigma` (n, latent) are None without a probabilistic bottleneck. `scales` are pairs (reconstruction,
    image) of a pyramid's levels, finest first; empty otherwise.
    """

    x_hat: Tensor
    mu: Tensor | None = None
    log_sigma: Tensor | None = None
    scales: tuple[tuple[Tensor, Tensor], ...] = ()


class ChannelAffine(nn.Module):
    """A learned scale and shift of each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) in and out."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def norm_of(kind: Norm, channels: int, side: int) -> nn.Module:
    """The normalisation of a feature map (channels, side, side). Raises `ValueError` for an unknown kind."""
    if kind == "batch":
        return nn.BatchNorm2d(channels, eps=NORM_EPS)
    if kind == "layer":
        return nn.LayerNorm([side, side], eps=NORM_EPS)
    if kind == "affine":
        return ChannelAffine(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    if kind == "none":
        return nn.Identity()
    msg = f"no normalisation is called {kind!r}"
    raise ValueError(msg)


class Encoder(nn.Module):
    """Strided convolutions, 5 x 5, each halving the side (methods of Baur et al., unified architecture)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        channels = [1, *architecture.widths]
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.ZeroPad2d((1, 2, 1, 2)),  # "same" padding of a stride of two, as in the published framework
                nn.Conv2d(before, after, 5, stride=2),
                norm_of(architecture.norm, after, architecture.size // 2 ** (stage + 1)),
                nn.LeakyReLU(SLOPE),
            )
            for stage, (before, after) in enumerate(pairwise(channels))
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """The feature maps of all stages, the smallest last."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class Decoder(nn.Module):
    """Transposed convolutions, 5 x 5, each doubling the side, then a 1 x 1 convolution to the image.

    `skips` are the channels that are concatenated to the input of each stage.
    """

    def __init__(self, architecture: Architecture, skips: tuple[int, ...] = ()) -> None:
        super().__init__()
        inward = architecture.widths[-1]
        outward = [max(architecture.filters, inward // 2**stage) for stage in range(len(architecture.widths))]
        added = [*skips, *[0] * (len(outward) - len(skips))]
        self.start = nn.Sequential(norm_of(architecture.norm, inward, architecture.bottom), nn.ReLU())
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before + extra, after, 5, stride=2, padding=2, output_padding=1),
                norm_of(architecture.norm, after, architecture.bottom * 2 ** (stage + 1)),
                nn.LeakyReLU(SLOPE),
            )
            for stage, (before, after, extra) in enumerate(zip([inward, *outward], outward, added, strict=False))
        )
        self.out = nn.Conv2d(outward[-1], 1, 1)

    def forward(self, x: Tensor, skips: tuple[Tensor, ...] = ()) -> Tensor:
        """The image; `skips` are features of the encoder, the smallest first, concatenated stage by stage."""
        x = self.start(x)
        for number, stage in enumerate(self.stages):
            x = stage(torch.cat([x, skips[number]], dim=1) if number < len(skips) else x)
        return self.out(x)


class DenseBottleneck(nn.Module):
    """Feature map -> `latent` numbers -> feature map."""

    def __init__(self, architecture: Architecture, heads: int = 1) -> None:
        super().__init__()
        channels, self.bottom = architecture.widths[-1], architecture.bottom
        flat = SQUEEZED * architecture.bottom**2
        self.squeeze = nn.Conv2d(channels, SQUEEZED, 1)
        self.heads = nn.ModuleList(nn.Linear(flat, architecture.latent) for _ in range(heads))
        self.back, self.widen = nn.Linear(architecture.latent, flat), nn.Conv2d(SQUEEZED, channels, 1)
        self.drop = Dropout(architecture.dropout)

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """The latent numbers (n, latent)."""
        return self.drop(self.heads[0](self.squeeze(features).flatten(1))), None

    def decode(self, z: Tensor) -> Tensor:
        """The feature map from the latent numbers."""
        return self.widen(self.back(z).unflatten(1, (SQUEEZED, self.bottom, self.bottom)))


class VariationalBottleneck(DenseBottleneck):
    """Mean and log standard deviation of the latent numbers."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture, heads=2)

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and log standard deviation, each (n, latent)."""
        flat = self.squeeze(features).flatten(1)
        mu, log_sigma = (self.drop(head(flat)) for head in self.heads)
        return mu, log_sigma.clamp(*LOG_SIGMA_RANGE)  # an unbounded exponent overflows


class SpatialBottleneck(nn.Module):
    """The smallest feature map itself, with dropout."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.drop = Dropout(architecture.dropout)

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """The feature map."""
        return self.drop(features), None

    def decode(self, z: Tensor) -> Tensor:
        """The feature map."""
        return z


def bottleneck_of(architecture: Architecture) -> Any:
    """The bottleneck of an architecture. Raises `ValueError` for an unknown one."""
    known = {"dense": DenseBottleneck, "vae": VariationalBottleneck, "spatial": SpatialBottleneck}
    if architecture.bottleneck not in known:
        msg = f"no bottleneck is called {architecture.bottleneck!r}"
        raise ValueError(msg)
    return known[architecture.bottleneck](architecture)


class UnifiedAutoencoder(nn.Module):
    """Encoder, bottleneck, decoder.

    With a "vae" bottleneck z is sampled while training and the mean afterwards; `sample_always` samples then, too, as
    the published code does.
    """

    def __init__(self, architecture: Architecture, sample_always: bool = False) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(architecture), Decoder(architecture)
        self.bottleneck = bottleneck_of(architecture)
        self.sample_always = sample_always
        self.apply(glorot)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latent code, and its log standard deviation where the bottleneck has one."""
        return self.bottleneck.encode(self.encoder(x)[-1])

    def decode(self, z: Tensor) -> Tensor:
        """Images (n, 1, size, size) from latent codes."""
        return self.decoder(self.bottleneck.decode(z))

    def forward(self, x: Tensor) -> Output:
        """Reconstruct images (n, 1, size, size)."""
        mu, log_sigma = self.encode(x)
        if log_sigma is None:
            return Output(self.decode(mu))
        sampled = self.training or self.sample_always
        z = mu + torch.exp(log_sigma) * torch.randn_like(mu) if sampled else mu
        return Output(self.decode(z), mu, log_sigma)


class SkipAutoencoder(nn.Module):
    """An autoencoder whose skip connections lose whole channels at random (after Baur et al., ISBI 2020).

    Without the dropout it would learn to copy. Skips are concatenated at every stage but the image's own.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        skips = tuple(architecture.widths[-2::-1])
        self.encoder = Encoder(architecture)
        # The first decoding stage starts from the bottom; stage k + 1 gets the features of the same side.
        self.decoder = Decoder(architecture, (0, *skips))
        self.bottleneck = bottleneck_of(architecture)
        self.drops = nn.ModuleList(SkipDropout(architecture.skip_dropout) for _ in skips)
        self.apply(glorot)

    def forward(self, x: Tensor) -> Output:
        """Reconstruct images (n, 1, size, size)."""
        *features, smallest = self.encoder(x)
        z, _ = self.bottleneck.encode(smallest)
        dropped = tuple(drop(skip) for drop, skip in zip(self.drops, features[::-1], strict=True))
        nothing = smallest[:, :0]
        return Output(self.decoder(self.bottleneck.decode(z), (nothing, *dropped)))


def glorot(module: nn.Module) -> None:
    """Weights as the published models start: Glorot uniform, zero bias."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
