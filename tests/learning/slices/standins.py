"""Networks small enough to work out by hand, with the interface of `networks.UnifiedAutoencoder`."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Output:
    x_hat: Tensor
    mu: Tensor | None
    log_sigma: Tensor | None


class Affine(nn.Module):
    """x_hat = gain * x + offset, mu = k * x, log_sigma constant: the minimum is known for every y."""

    def __init__(self, gain=0.0, offset=0.5, k=0.0, log_sigma=0.0):
        super().__init__()
        self.gain, self.offset, self.k = (nn.Parameter(torch.tensor(float(value))) for value in (gain, offset, k))
        self.log_sigma = log_sigma

    def forward(self, x):
        mu, log_sigma = self.encode(x)
        return Output(self.gain * x + self.offset, mu, log_sigma)

    def encode(self, x):
        mu = self.k * x.flatten(1)
        return mu, torch.full_like(mu, self.log_sigma)


class Small(nn.Module):
    """A variational autoencoder of slices of 32, with batch norm whose statistics are not 0 and 1."""

    def __init__(self, seed=0, variational=True):
        super().__init__()
        torch.manual_seed(seed)
        self.variational = variational
        self.down = nn.Sequential(
            nn.Conv2d(1, 4, 5, 2, 2), nn.BatchNorm2d(4), nn.LeakyReLU(0.3), nn.Conv2d(4, 8, 5, 2, 2), nn.LeakyReLU(0.3)
        )
        self.heads = nn.Linear(8 * 64, 12)
        self.back = nn.Linear(6, 8 * 64)
        self.up = nn.Sequential(
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 4, 5, 2, 2, 1),
            nn.BatchNorm2d(4),
            nn.LeakyReLU(0.3),
            nn.ConvTranspose2d(4, 4, 5, 2, 2, 1),
            nn.Conv2d(4, 1, 1),
        )
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        self.train()  # scorers have to see to eval mode themselves, or the batch's slices would mix
        if not variational:
            self.eval()

    def encode(self, x):
        mu, log_sigma = self.heads(self.down(x).flatten(1)).chunk(2, dim=1)
        return mu, log_sigma.clamp(-10, 10) if self.variational else None

    def decode(self, z):
        return self.up(self.back(z).view(-1, 8, 8, 8))

    def forward(self, x):
        mu, log_sigma = self.encode(x)
        return Output(self.decode(mu), mu, log_sigma)


def slices(n=5, size=32, seed=0):
    """Smooth images in [0, 1] in an oval of brain, zero outside: (n, 1, size, size) each."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.linspace(-1, 1, size)
    inside = (axis[:, None] / 0.8) ** 2 + (axis[None] / 0.6) ** 2 < 1
    noise = torch.rand((n, 1, size // 4, size // 4), generator=generator)
    image = nn.functional.interpolate(noise, size=(size, size), mode="bilinear")
    brain = inside.float().expand(n, 1, size, size).contiguous()
    return image * brain, brain
