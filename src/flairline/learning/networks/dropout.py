"""Dropout that can stay on while scoring: Monte Carlo samples that do not depend on the batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional


class Dropout(nn.Module):
    """Drops elements in training; afterwards nothing, or, within `drawn_masks`, one mask for the whole batch.

    One mask for all slices is one network drawn from the ensemble that dropout stands for (Gal and Ghahramani 2016).
    The score of a slice then depends neither on the batch size nor on the slices beside it.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Any shape (n, ...) in and out."""
        if self.training:
            return self.in_training(x)
        if self.generator is None or self.share == 0:
            return x
        if self.mask is None:  # drawn on the CPU: the same on every device
            kept = torch.rand(self.mask_shape(x), generator=self.generator) >= self.share
            self.mask = (kept / (1 - self.share)).to(x.device, x.dtype)
        return x * self.mask

    def in_training(self, x: Tensor) -> Tensor:
        """The ordinary dropout."""
        return functional.dropout(x, self.share)

    def mask_shape(self, x: Tensor) -> tuple[int, ...]:
        """The shape of one mask for the whole batch."""
        return (1, *x.shape[1:])


class SkipDropout(Dropout):
    """Drops whole channels of a feature map."""

    def in_training(self, x: Tensor) -> Tensor:
        """The ordinary dropout of channels."""
        return functional.dropout2d(x, self.share)

    def mask_shape(self, x: Tensor) -> tuple[int, ...]:
        """The shape of one mask for the whole batch."""
        return 1, x.shape[1], 1, 1


@contextmanager
def drawn_masks(network: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Within, every `Dropout` of an eval-mode network keeps one mask, drawn from `generator` (on the CPU)."""
    layers = [layer for layer in network.modules() if isinstance(layer, Dropout)]
    for layer in layers:
        layer.generator, layer.mask = generator, None
    try:
        yield
    finally:
        for layer in layers:
            layer.generator = layer.mask = None
