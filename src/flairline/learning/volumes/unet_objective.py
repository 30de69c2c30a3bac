"""What the U-Net is trained for, apart from the network: Lightning takes seconds to load."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from flairline.learning.loop import Budget, Objective
from flairline.learning.volumes.sizes import Inlets
from flairline.learning.volumes.unet import answer


class SegmentLesions(Objective):
    """Cross-entropy plus soft Dice over the batch, on logits."""

    def __init__(
        self,
        network: torch.nn.Module,
        budget: Budget,
        learning_rate: float,
        bf16: bool = False,
        frozen: bool = False,
        inlets: Inlets | None = None,
    ) -> None:
        super().__init__(network, budget, learning_rate, bf16)
        self.frozen, self.inlets = frozen, inlets or Inlets()
        self.train()

    def train(self, mode: bool = True) -> SegmentLesions:
        """As torch has it, but with `frozen` batch norm goes on scoring: its statistics stay."""
        super().train(mode)
        if self.frozen:
            for module in self.network.modules():
                if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def loss(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Images (batch, images, x, y, z) and context (batch, context, cells), scaled; truth (batch, 1, x, y, z).

        A truth below 0 says nothing, and nothing is learned there.
        """
        *given, truth = batch
        logits = self._logits(given)
        said = (truth >= 0).float()
        truth = truth * said
        entropies = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        entropy = (entropies * said).sum() / said.sum().clamp(min=1)
        share = torch.sigmoid(logits) * said
        overlap = (share * truth).sum()
        dice = 1 - (2 * overlap + 50) / (share.sum() + truth.sum() + 50)
        return entropy + dice

    def validate(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """One minus Dice at 0.5 of a whole scan; without lesions, falsely marked ml over one more."""
        *given, truth = batch
        found = self._logits(given) > 0
        if truth.any():
            return 1 - 2 * (found & (truth > 0)).sum() / (found.sum() + truth.sum())
        false_ml = found.sum() / 1000.0
        return false_ml / (false_ml + 1)

    def _logits(self, given: Sequence[Tensor]) -> Tensor:
        with torch.autocast(given[0].device.type, torch.bfloat16, enabled=self.bf16):
            return answer(self.network, given, self.inlets)
