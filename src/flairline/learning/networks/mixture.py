"""Autoencoders whose latent code comes from a mixture of Gaussians (GMVAE).

After Dilokthanakul et al. 2016 (arXiv:1611.02648), as You et al. 2019 and Baur et al. 2021 use it for slices: a code w
decides where the components of the mixture lie, and z, which the image is decoded from, comes from one of them:
p(w) = N(0, 1), p(c) = 1/K, p(z | w, c) = N(mean_c(w), 1 / precision_c(w)).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from flairline.learning.networks.autoencoders import SQUEEZED, Architecture, Decoder, Encoder, Output, glorot

LOG_VARIANCE_RANGE = (-20.0, 20.0)
"""Of the codes and of the components; an unbounded exponent overflows."""
HIDDEN = 64
"""Channels between w and the components where the codes lie on a grid."""
FIRST_LOG_PRECISION = 0.1
"""What the components' log inverse variances begin at."""


@dataclass(frozen=True)
class Latents:
    """What the encoder says of images, on a grid (h, w) of codes; a dense bottleneck has one place.

    `z_mu` and `z_log_var` (n, d, h, w), `w_mu` and `w_log_var` (n, v, h, w) are the codes' distributions; `means` and
    `log_precisions` (n, k, d, h, w) the components', of a w drawn while training and of the mean afterwards;
    `log_shares` (n, k, h, w) how probable each component is for z.
    """

    z_mu: Tensor
    z_log_var: Tensor
    w_mu: Tensor
    w_log_var: Tensor
    means: Tensor
    log_precisions: Tensor
    log_shares: Tensor


@dataclass
class MixtureOutput(Output):
    """A reconstruction and its codes."""

    latents: Latents = field(kw_only=True)


def log_responsibilities(z: Tensor, means: Tensor, log_precisions: Tensor, legacy: bool = False) -> Tensor:
    """Log probability of each component for a code z, all equally frequent, (n, k, h, w).

    Parameters
    ----------
    z
        (n, d, h, w).
    means, log_precisions
        (n, k, d, h, w).
    legacy
        -log_precision in the place of log_precision / 2, as the code of You et al. 2019 and Baur et al. 2021 has it:
        it prefers wide components.
    """
    volume = -log_precisions if legacy else 0.5 * log_precisions
    fit = -0.5 * (z[:, None] - means) ** 2 * log_precisions.exp() + volume
    return torch.log_softmax(fit.sum(dim=2), dim=1)


class Components(nn.Module):
    """Where the mixture's components lie, from w: 1 x 1 convolutions, behind a hidden layer where there is a grid."""

    def __init__(self, architecture: Architecture, hidden: int | None) -> None:
        super().__init__()
        inward, self.shape = architecture.latent_w, (architecture.components, architecture.latent)
        self.trunk = nn.Sequential(nn.Conv2d(inward, hidden, 1), nn.ReLU()) if hidden else nn.Identity()
        outward = architecture.components * architecture.latent
        self.means, self.log_precisions = (nn.Conv2d(hidden or inward, outward, 1) for _ in range(2))

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log inverse variances (n, k, d, h, w)."""
        features = self.trunk(w)
        means, log_precisions = (
            layer(features).unflatten(1, self.shape) for layer in (self.means, self.log_precisions)
        )
        return means, log_precisions.clamp(*LOG_VARIANCE_RANGE)


class DenseCodes(nn.Module):
    """`latent` numbers for a slice, from a squeezed feature map and back."""

    hidden = None

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        channels, self.bottom = architecture.widths[-1], architecture.bottom
        self.channels = SQUEEZED * self.bottom**2
        self.squeeze, self.widen = nn.Conv2d(channels, SQUEEZED, 1), nn.Conv2d(SQUEEZED, channels, 1)
        self.back = nn.Linear(architecture.latent, self.channels)

    def encode(self, features: Tensor) -> Tensor:
        """All of a feature map in the channels of one place, (n, channels, 1, 1)."""
        return self.squeeze(features).flatten(1)[:, :, None, None]

    def decode(self, z: Tensor) -> Tensor:
        """The feature map from z (n, d, 1, 1)."""
        return self.widen(self.back(z.flatten(1)).unflatten(1, (SQUEEZED, self.bottom, self.bottom)))


class SpatialCodes(nn.Module):
    """`latent` numbers for each place of the smallest feature map."""

    hidden = HIDDEN

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.channels = architecture.widths[-1]
        self.widen = nn.Conv2d(architecture.latent, self.channels, 1)

    def encode(self, features: Tensor) -> Tensor:
        """The feature map itself."""
        return features

    def decode(self, z: Tensor) -> Tensor:
        """The feature map from z (n, d, h, w)."""
        return self.widen(z)


class MixtureAutoencoder(nn.Module):
    """Encoder, codes z and w, decoder. Codes are drawn while training; afterwards they are their means.

    `Architecture.legacy_responsibilities` is that of `log_responsibilities`. `Architecture.legacy_bypass` decodes the
    encoder's features in the place of z, as the code of Baur et al. 2021 does where the codes lie on a grid: its image
    never passes the bottleneck.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.encoder, self.decoder = Encoder(architecture), Decoder(architecture)
        self.codes = (SpatialCodes if architecture.bottleneck == "mixture_spatial" else DenseCodes)(architecture)
        inward, dims_z, dims_w = self.codes.channels, architecture.latent, architecture.latent_w
        self.z_heads = nn.ModuleList(nn.Conv2d(inward, dims_z, 1) for _ in range(2))
        self.w_heads = nn.ModuleList(nn.Conv2d(inward, dims_w, 1) for _ in range(2))
        self.components = Components(architecture, self.codes.hidden)
        self.apply(glorot)
        nn.init.constant_(self.components.log_precisions.bias, FIRST_LOG_PRECISION)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> MixtureOutput:
        """Reconstruct images (n, 1, size, size)."""
        smallest = self.encoder(x)[-1]
        features = self.codes.encode(smallest)
        z_mu, z_log_var = (head(features) for head in self.z_heads)
        w_mu, w_log_var = (head(features) for head in self.w_heads)
        z_log_var, w_log_var = (log_var.clamp(*LOG_VARIANCE_RANGE) for log_var in (z_log_var, w_log_var))
        z, w = self._drawn(z_mu, z_log_var), self._drawn(w_mu, w_log_var)
        means, log_precisions = self.components(w)
        log_shares = log_responsibilities(z, means, log_precisions, self.architecture.legacy_responsibilities)
        x_hat = self.decoder(smallest if self.architecture.legacy_bypass else self.codes.decode(z))
        latents = Latents(z_mu, z_log_var, w_mu, w_log_var, means, log_precisions, log_shares)
        return MixtureOutput(x_hat, latents=latents)

    def _drawn(self, mu: Tensor, log_var: Tensor) -> Tensor:
        return mu + torch.exp(0.5 * log_var) * torch.randn_like(mu) if self.training else mu
