"""What tokens and transformers are trained for, one after the other in one training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from flairline.learning.loop import Budget
from flairline.learning.networks.tokens import TokenModel
from flairline.learning.slices.objectives import BETAS, Batch, Reconstruct, l1

FIRST_SHARE = 0.4
"""Share of the budget in which the VQ-VAE learns; the transformers have the rest."""
FIRST_DECAY, LAST_DECAY, WARM_UP = 0.5, 0.99, 0.1
"""Of the codebook's moving average: it rises within this share of the VQ-VAE's training."""

DEAD, REVIVE_EVERY, REVIVE_UNTIL = 0.03, 10, 0.8
"""A code with less than this share of an even one's cells is dead; how often that is looked for, and until when."""


class TokenBound(Reconstruct):
    """First the VQ-VAE alone (mean L1 and commitment), then the transformers in turn (cross-entropy), it at rest.

    The value on held-out slices is a code length in both parts: L1, summed over a slice, and minus the log-probability
    of its tokens, which before the transformers learn are all alike. So it falls from the first step to the last, and a
    model that was cut off early is no better than it is.
    """

    network: TokenModel

    def __init__(self, network: TokenModel, budget: Budget, learning_rate: float) -> None:
        super().__init__(network, budget, learning_rate)

    @property
    def of_tokens(self) -> bool:
        """Whether the transformers' turn has come."""
        return self.spent() >= FIRST_SHARE

    def loss(self, batch: Batch) -> Tensor:
        """The value to lower."""
        images, _ = batch
        model = self.network
        if not self.of_tokens:
            warm = min(1.0, self.spent() / (FIRST_SHARE * WARM_UP))
            model.vq.quantizer.quantizer.decay = FIRST_DECAY + (LAST_DECAY - FIRST_DECAY) * warm
            if self.global_step % REVIVE_EVERY == 0 and self.spent() < REVIVE_UNTIL * FIRST_SHARE:
                revive(model, *batch)
            x_hat, commitment = model.vq(images)
            return l1(images, x_hat).mean() / images[0].numel() + commitment
        number = self.global_step % len(model.transformers)
        sequences = model.tokens(images)[:, model.order[number]]
        return -model.log_p(number, sequences).mean()

    def validate(self, batch: Batch) -> Tensor:
        """Nats a slice: L1 and the tokens' code length, the mean over orderings."""
        images, _ = batch
        model = self.network
        apart = l1(images, model(images).x_hat).mean()
        if not self.of_tokens:
            return apart + model.sizes.side**2 * math.log(model.sizes.codes)
        sequences = model.in_order(model.tokens(images))
        lengths = [-model.log_p(number, part).sum(dim=1).mean() for number, part in enumerate(sequences)]
        return apart + torch.stack(lengths).mean()

    def configure_optimizers(self) -> Any:
        """Adam; each part's rate falls along a cosine to zero within its own share of the budget."""
        model = self.network
        parts = [[p for p in part.parameters() if p.requires_grad] for part in (model.vq, model.transformers)]
        optimizer = torch.optim.Adam([{"params": part} for part in parts], lr=self.learning_rate, betas=BETAS)

        def first(step: int) -> float:
            return _falling(self.spent(step) / FIRST_SHARE)

        def then(step: int) -> float:
            share = (self.spent(step) - FIRST_SHARE) / (1 - FIRST_SHARE)
            return min(1.0, max(share, 0.0) / 0.02 + 0.02) * _falling(share)

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, [first, then])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


@torch.no_grad()
def revive(model: TokenModel, images: Tensor, brains: Tensor) -> None:
    """Put codes that next to no cell has into the midst of what the encoder gives for cells with brain.

    Codes begin far from the encoder's output, so that all cells get the nearest one and no other ever moves.
    """
    quantizer = model.vq.quantizer.quantizer
    dead = quantizer.ema_cluster_size < DEAD * quantizer.ema_cluster_size.sum() / quantizer.num_embeddings
    dead |= quantizer.ema_cluster_size == 0
    inside = functional.adaptive_max_pool2d(brains, model.sizes.side)[:, 0] > 0
    features = model.vq.encoder(images).movedim(1, -1)[inside]
    if not dead.any() or not len(features):
        return
    chosen = features[torch.randint(len(features), (int(dead.sum()),), device=features.device)]
    cells = images.shape[0] * model.sizes.side**2 / quantizer.num_embeddings
    quantizer.embedding.weight.data[dead] = chosen
    quantizer.ema_cluster_size[dead] = cells
    quantizer.ema_w[dead] = chosen * cells


def _falling(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0))) + 1e-3
