"""What networks are trained for that play against a critic: several optimisers, one batch a step, one loop for all.

Adam with the decays of Baur et al. 2021 for adversarial training. Weights are judged by the reconstruction of held-out
healthy slices, never by what a critic says.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from flairline.learning.loop import Budget, ManualObjective
from flairline.learning.networks.critic import Slips, critic_loss
from flairline.learning.networks.generator import CriticisedAutoencoder, InvertedGenerator
from flairline.learning.slices.objectives import Batch, Reconstruct, kl

BETAS = (0.5, 0.9)


class Adversarial(ManualObjective, Reconstruct):
    """Players in turn; what is validated is L1, summed over pixels."""

    def adam(self, *players: nn.Module) -> torch.optim.Optimizer:
        """An optimiser of the weights of these parts of the network, and of no others."""
        return torch.optim.Adam(chain(*(player.parameters() for player in players)), self.learning_rate, betas=BETAS)

    def move(self, optimizer: Any, loss: Tensor) -> None:
        """One step of an optimiser; no other player's weights get a gradient."""
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        optimizer.zero_grad()
        self.manual_backward(loss, inputs=weights)
        optimizer.step()

    def validate(self, batch: Batch) -> Tensor:
        """How far healthy slices are from what the network makes of them."""
        return self.of(batch[0], self.network(batch[0]))


class Inversion(Adversarial):
    """First a generator against its critic, then, both frozen, the encoder that inverts it (Schlegl et al. 2019).

    The encoder lowers the squared error of the image plus `feature_weight` times that of the critic's features, each a
    mean ("izi_f"). In the first half of the budget every batch moves the critic, every `critic_steps`-th the generator.
    """

    phases = (0.5, 1.0)
    network: InvertedGenerator

    def __init__(
        self,
        network: nn.Module,
        budget: Budget,
        learning_rate: float,
        critic_steps: int = 5,
        feature_weight: float = 1.0,
        slips: Slips | None = None,
    ) -> None:
        super().__init__(network, budget, learning_rate)
        self.critic_steps, self.feature_weight, self.slips = critic_steps, feature_weight, slips

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Of critic, generator and encoder."""
        net = self.network
        return [self.adam(player) for player in (net.critic, net.generator, net.encoder)]

    def loss(self, batch: Batch) -> Tensor:
        """A step of the game, or of the encoder."""
        return self.play(batch[0]) if self.phase == 0 else self.invert(batch[0])

    def play(self, images: Tensor) -> Tensor:
        """The critic's step, and the generator's when it is its turn; the critic's loss."""
        (critic, generator, _), net = self.steppers(), self.network
        with torch.no_grad():
            made = net.generator(self._drawn(images))
        loss = critic_loss(net.critic, images, made, slips=self.slips)
        turn = self.global_step % self.critic_steps == self.critic_steps - 1
        self.move(critic, loss)
        if turn:
            self.move(generator, -net.critic(net.generator(self._drawn(images))).mean())
        return loss

    def invert(self, images: Tensor) -> Tensor:
        """The encoder's step and its loss."""
        critic, _, encoder = self.steppers()
        loss = self.inversion(images)
        self.move(encoder, loss)
        critic.zero_grad()
        critic.step()  # without a gradient it moves nothing, but the loop counts its steps
        return loss

    def inversion(self, images: Tensor) -> Tensor:
        """How far images and their features are from those of their inversion."""
        critic, made = self.network.critic, self.network(images).x_hat
        of_features = functional.mse_loss(critic.features(made), critic.features(images))
        return functional.mse_loss(made, images) + self.feature_weight * of_features

    def _drawn(self, images: Tensor) -> Tensor:
        return torch.randn(len(images), self.network.latent, device=images.device)


class CriticisedElbo(Adversarial):
    """A variational autoencoder whose reconstructions a critic shall hold for images (Baur et al. 2018).

    Each batch moves encoder and generator by L1 and KL, each summed; then the generator alone by what the critic says;
    then the critic `critic_steps` times.
    """

    network: CriticisedAutoencoder

    def __init__(
        self,
        network: nn.Module,
        budget: Budget,
        learning_rate: float,
        critic_steps: int = 5,
        kl_weight: float = 1.0,
        slips: Slips | None = None,
    ) -> None:
        super().__init__(network, budget, learning_rate)
        self.critic_steps, self.kl_weight, self.slips = critic_steps, kl_weight, slips

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Of the autoencoder, of its generator alone, and of the critic."""
        net = self.network
        return [self.adam(net.encoder, net.generator), self.adam(net.generator), self.adam(net.critic)]

    def loss(self, batch: Batch) -> Tensor:
        """The three players' steps; the autoencoder's loss."""
        images, net = batch[0], self.network
        autoencoder, generator, critic = self.steppers()
        found = net(images)
        loss = self.bound(images, found)
        self.move(autoencoder, loss)
        mu, log_sigma = found.mu.detach(), found.log_sigma.detach()
        self.move(generator, -net.critic(net.generator(net.drawn(mu, log_sigma))).mean())
        for _ in range(self.critic_steps):
            with torch.no_grad():
                made = net.generator(net.drawn(mu, log_sigma))
            self.move(critic, critic_loss(net.critic, images, made, slips=self.slips))
        return loss

    def bound(self, images: Tensor, found: Any) -> Tensor:
        """L1 and KL, each summed over pixels or codes and averaged over images."""
        return self.of(images, found) + self.kl_weight * kl(found.mu, found.log_sigma).mean()
