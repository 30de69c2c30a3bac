"""What slice-wise networks are trained for: reconstruction, the evidence lower bound, filling in context.

Losses are summed over pixels and averaged over images, as in Baur et al. 2021; that is what a KL weight of one means. A
batch is (images, brains), each (n, 1, size, size).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from flairline.learning.loop import Budget, Objective
from flairline.learning.networks.autoencoders import Output
from flairline.learning.slices.corruptions import context_mask

BETAS = (0.5, 0.999)
Batch = tuple[Tensor, Tensor]


def l1(images: Tensor, x_hat: Tensor) -> Tensor:
    """Sum of absolute differences of each image, (n,)."""
    return (images - x_hat).abs().flatten(1).sum(dim=1)


def kl(mu: Tensor, log_sigma: Tensor) -> Tensor:
    """Divergence of N(mu, exp(log_sigma)^2) from N(0, 1), summed over all but the first axis, (n,)."""
    return 0.5 * (mu**2 + torch.exp(2 * log_sigma) - 2 * log_sigma - 1).flatten(1).sum(dim=1)


def total_variation(images: Tensor) -> Tensor:
    """Sum of absolute differences of neighbours along both axes of each image, (n,)."""
    down, across = images[..., 1:, :] - images[..., :-1, :], images[..., 1:] - images[..., :-1]
    return down.abs().flatten(1).sum(dim=1) + across.abs().flatten(1).sum(dim=1)


class Reconstruct(Objective):
    """The image from the image: L1, over all scales where the network has several."""

    weight_decay = 0.0

    def of(self, images: Tensor, found: Output) -> Tensor:
        """The loss of a reconstruction."""
        pairs = found.scales or ((found.x_hat, images),)
        return torch.stack([l1(image, x_hat).mean() for x_hat, image in pairs]).sum()

    def loss(self, batch: Batch) -> Tensor:
        """The value to lower."""
        return self.of(batch[0], self.network(batch[0]))

    def validate(self, batch: Batch) -> Tensor:
        """The same without dropout."""
        return self.loss(batch)

    def l1(self, batch: Batch) -> Tensor:
        """Mean absolute difference of a brain's pixel, the network not training."""
        images, brains = batch
        was_training = self.network.training
        self.network.eval()
        with torch.no_grad():
            apart = (images - self.network(images).x_hat).abs() * brains
        self.network.train(was_training)
        return apart.sum() / brains.sum()

    def configure_optimizers(self) -> Any:
        """Adam; the rate is constant (as published) or falls as the base class's does."""
        optimizer = torch.optim.Adam(
            self.parameters(), lr=self.learning_rate, betas=BETAS, weight_decay=self.weight_decay
        )
        if self.budget.schedule == "constant":
            return optimizer
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Elbo(Reconstruct):
    """Evidence lower bound, negative: L1 and `kl_weight` times the divergence of the latent code from N(0, 1)."""

    def __init__(self, network: torch.nn.Module, budget: Budget, learning_rate: float, kl_weight: float = 1.0) -> None:
        super().__init__(network, budget, learning_rate)
        self.kl_weight = kl_weight

    def of(self, images: Tensor, found: Output) -> Tensor:
        """The loss of a reconstruction and its latent code."""
        assert found.mu is not None and found.log_sigma is not None
        return super().of(images, found) + self.kl_weight * kl(found.mu, found.log_sigma).mean()


class Context(Reconstruct):
    """The image from one with squares cut out; the target is the image before the cut (Zimmerer et al. 2018)."""

    def loss(self, batch: Batch) -> Tensor:
        """The value to lower; each step cuts other squares."""
        return context_l1(self.network, batch, seed=1 + self.global_step)

    def validate(self, batch: Batch) -> Tensor:
        """The same, with the same squares each time."""
        return context_l1(self.network, batch, seed=0)


class ContextElbo(Elbo):
    """ceVAE: the bound on the image itself plus the context loss through the same network (Zimmerer et al. 2018).

    `legacy_masked_target` compares the second with the masked image, as published code does; the paper's is the
    unmasked one.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        budget: Budget,
        learning_rate: float,
        kl_weight: float = 1.0,
        legacy_masked_target: bool = False,
    ) -> None:
        super().__init__(network, budget, learning_rate, kl_weight)
        self.legacy_masked_target = legacy_masked_target

    def loss(self, batch: Batch) -> Tensor:
        """The value to lower; each step cuts other squares."""
        return super().loss(batch) + self._context(batch, seed=1 + self.global_step)

    def validate(self, batch: Batch) -> Tensor:
        """The same, with the same squares each time."""
        return super().loss(batch) + self._context(batch, seed=0)

    def _context(self, batch: Batch, seed: int) -> Tensor:
        return context_l1(self.network, batch, seed, self.legacy_masked_target)


def context_l1(network: Any, batch: Batch, seed: int, masked_target: bool = False) -> Tensor:
    """L1 between images and what a network makes of them with squares cut out; a variational one takes its mean."""
    images, brains = batch
    masked = context_mask(images, brains, torch.Generator().manual_seed(seed))
    mu, _ = network.encode(masked)
    return l1(masked if masked_target else images, network.decode(mu)).mean()
