"""What a mixture of Gaussians is trained for: reconstruction and three divergences, each summed (You et al. 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from flairline.learning.loop import Budget
from flairline.learning.networks.autoencoders import Output
from flairline.learning.networks.mixture import Latents, MixtureOutput
from flairline.learning.slices.objectives import Reconstruct


def mixture_kl(latents: Latents, free_nats: float) -> Tensor:
    """What the codes of each image cost, (n,): KL_z + KL_w + max(KL_c, free_nats), summed over the places of the grid.

    KL_z is how far q(z) lies from the components, weighted by their responsibilities; KL_w how far q(w) from
    N(0, 1); KL_c how far the responsibilities from all alike, between 0 and log K. Below `free_nats` KL_c costs nothing
    further, at each place for itself: the constant stays in the value.
    """
    shares, precisions = latents.log_shares.exp(), latents.log_precisions.exp()
    z_mu, z_log_var = latents.z_mu[:, None], latents.z_log_var[:, None]
    apart = (z_log_var.exp() + (z_mu - latents.means) ** 2) * precisions - (latents.log_precisions + z_log_var) - 1
    kl_z = 0.5 * shares * apart.sum(dim=2)
    kl_w = 0.5 * (latents.w_mu**2 + latents.w_log_var.exp() - latents.w_log_var - 1)
    kl_c = (shares * (latents.log_shares + math.log(shares.shape[1]))).sum(dim=1).clamp(min=free_nats)
    return kl_z.flatten(1).sum(dim=1) + kl_w.flatten(1).sum(dim=1) + kl_c.flatten(1).sum(dim=1)


class MixtureElbo(Reconstruct):
    """L1, summed over pixels, and the codes' cost."""

    def __init__(self, network: torch.nn.Module, budget: Budget, learning_rate: float, free_nats: float = 1.0) -> None:
        super().__init__(network, budget, learning_rate)
        self.free_nats = free_nats

    def of(self, images: Tensor, found: Output) -> Tensor:
        """The loss of a reconstruction and its codes."""
        assert isinstance(found, MixtureOutput)
        return super().of(images, found) + mixture_kl(found.latents, self.free_nats).mean()
