"""Autoencoders that must find their reconstruction's code again, and whose codes a critic shall hold for N(0, 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flairline.learning.loop import Budget
from flairline.learning.networks.autoencoders import Architecture, Output, UnifiedAutoencoder
from flairline.learning.networks.critic import CodeCritic, Slips, critic_loss
from flairline.learning.slices.adversarial import Adversarial
from flairline.learning.slices.objectives import Batch

ROOT_FLOOR = 1e-8
"""Under the root, whose slope at zero has no bound."""


class CriticisedCodes(nn.Module):
    """An autoencoder with a dense code, and a critic of codes."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.autoencoder = UnifiedAutoencoder(architecture)
        self.critic = CodeCritic(architecture.latent)

    def encode(self, images: Tensor) -> Tensor:
        """Codes (n, latent)."""
        return self.autoencoder.encode(images)[0]

    def forward(self, images: Tensor) -> Output:
        """Reconstruct images (n, 1, size, size)."""
        return self.autoencoder(images)


@dataclass(frozen=True)
class Constraint:
    """What a constrained autoencoder is trained for.

    Attributes
    ----------
    weight
        Of the distance between an image's code and its reconstruction's; 0: no constraint.
    adversarial
        Whether a critic compares codes with N(0, 1).
    critic_steps
        Of the critic, for each batch.
    legacy_means
        Squared errors of image and code, each a mean over its numbers, in the place of a length and half a sum.
    """

    weight: float = 1.0
    adversarial: bool = True
    critic_steps: int = 20
    legacy_means: bool = False


class Constrained(Adversarial):
    """Each batch moves the autoencoder, then the critic `critic_steps` times, then the encoder by what the critic says.

    Chen & Konukoglu 2018. The code of a reconstruction is taken with the batch norms' running statistics, as the
    authors do, so that these are those of images alone.
    """

    network: CriticisedCodes

    def __init__(
        self,
        network: nn.Module,
        budget: Budget,
        learning_rate: float,
        constraint: Constraint | None = None,
        slips: Slips | None = None,
    ) -> None:
        super().__init__(network, budget, learning_rate)
        self.constraint, self.slips = constraint or Constraint(), slips

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Of the autoencoder, of the critic, and of the encoder alone."""
        net = self.network
        coding = nn.ModuleList([net.autoencoder.encoder, net.autoencoder.bottleneck.squeeze])
        coding.append(net.autoencoder.bottleneck.heads)
        return [self.adam(net.autoencoder), self.adam(net.critic), self.adam(coding)]

    def loss(self, batch: Batch) -> Tensor:
        """The players' steps; the autoencoder's loss."""
        images, net = batch[0], self.network
        autoencoder, critic, encoder = self.steppers()
        loss = self.constrained(images)
        self.move(autoencoder, loss)
        if not self.constraint.adversarial:
            return loss
        with torch.no_grad():
            codes = net.encode(images)
        for _ in range(self.constraint.critic_steps):
            self.move(critic, critic_loss(net.critic, torch.randn_like(codes), codes, slips=self.slips))
        self.move(encoder, -net.critic(net.encode(images)).mean())
        return loss

    def constrained(self, images: Tensor) -> Tensor:
        """Length of the images' errors plus half the squared length of their codes', averaged over images."""
        net = self.network
        codes = net.encode(images)
        x_hat = net.autoencoder.decode(codes)
        apart, missed = (images - x_hat).flatten(1), codes - self.code_again(x_hat)
        if self.constraint.legacy_means:
            return apart.pow(2).mean() + self.constraint.weight * missed.pow(2).mean()
        length = (apart.pow(2).sum(dim=1) + ROOT_FLOOR).sqrt()
        return length.mean() + self.constraint.weight * 0.5 * missed.pow(2).sum(dim=1).mean()

    def code_again(self, x_hat: Tensor) -> Tensor:
        """Codes of reconstructions, by the running statistics, which they do not change."""
        was_training = self.network.training
        self.network.eval()
        codes = self.network.encode(x_hat)
        self.network.train(was_training)
        return codes
