"""The convolutional autoencoder of Bergmann et al. 2019: no normalisation, a code of one pixel."""

from __future__ import annotations

from torch import Tensor, nn

from flairline.learning.networks.autoencoders import Architecture, Output

SLOPE = 0.2


class NarrowAutoencoder(nn.Module):
    """Strided 4 x 4 convolutions with 3 x 3 ones between them, then one that takes all that is left; mirrored back.

    Of an `Architecture` it has size, filters, bottom and latent. The paper's has 128 pixels, 32 filters, bottom 8.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        filters, bottom, latent = architecture.filters, architecture.bottom, architecture.latent
        stages = len(architecture.widths)  # raises where the size does not halve down to the bottom
        widths = [filters, *(filters * 2**stage for stage in range(stages - 1))]
        down, up = [], []
        for stage, width in enumerate(widths):
            down += _active(nn.Conv2d(1 if stage == 0 else widths[stage - 1], width, 4, stride=2, padding=1))
            if 0 < stage < stages - 1:
                down += _active(nn.Conv2d(width, width, 3, padding=1))
        down += _active(nn.Conv2d(widths[-1], 2 * filters, 3, padding=1))
        down += _active(nn.Conv2d(2 * filters, filters, 3, padding=1))
        self.encoder = nn.Sequential(*down, nn.Conv2d(filters, latent, bottom))
        up += _active(nn.ConvTranspose2d(latent, filters, bottom))
        up += _active(nn.Conv2d(filters, 2 * filters, 3, padding=1))
        up += _active(nn.Conv2d(2 * filters, widths[-1], 3, padding=1))
        for stage in range(stages - 1, 0, -1):
            up += _active(nn.ConvTranspose2d(widths[stage], widths[stage - 1], 4, stride=2, padding=1))
            if stage > 1:
                up += _active(nn.Conv2d(widths[stage - 1], widths[stage - 1], 3, padding=1))
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(filters, 1, 4, stride=2, padding=1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Output:
        """Reconstruct images (n, 1, size, size)."""
        return Output(self.decoder(self.encoder(x)))


def _active(layer: nn.Module) -> list[nn.Module]:
    return [layer, nn.LeakyReLU(SLOPE)]
