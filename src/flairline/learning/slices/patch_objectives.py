"""What encoders of patches are trained for: neighbours alike, and places told apart (Yi & Yoon 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from flairline.learning.loop import Budget
from flairline.learning.networks.patches import PatchSvddModel, cut, share_of
from flairline.learning.slices.objectives import Batch, Reconstruct

PATCHES, TRIED = 64, 4096
"""Pairs of each kind in a batch, as published, and places that are tried for them."""
NOISE = 0.02
"""Standard deviation of the shift and of the noise that are added to patches whose places are to be told apart."""
AROUND = torch.tensor([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)])
"""The eight places that a second patch can have beside a first."""


@dataclass(frozen=True)
class Pairs:
    """Corners (k,) of first and second patches of images `number`, and what the second is of the first (k,)."""

    number: Tensor
    first: tuple[Tensor, Tensor]
    second: tuple[Tensor, Tensor]
    kind: Tensor


def pairs(brain: Tensor, patch: int, shift: Tensor, least: float, generator: torch.Generator) -> Pairs:
    """Pairs of patches whose second lies `shift` (TRIED, 2) away, both within the slice and of at least so much brain.

    At most PATCHES, and none at all where the brain is too small. Nothing is moved to fit: a shifted patch that was
    clipped at the border would be its own neighbour.
    """
    n, size = len(brain), brain.shape[-1]
    number = torch.randint(n, (TRIED,), generator=generator)
    first = torch.randint(size - patch + 1, (TRIED, 2), generator=generator)
    second = first + shift
    within = ((second >= 0) & (second <= size - patch)).all(dim=1)
    number, first, second, kind = (part[within] for part in (number, first, second, torch.arange(TRIED)))
    share = share_of(brain, patch, 1).cpu()
    fits = torch.minimum(*(share[number, corner[:, 0], corner[:, 1]] for corner in (first, second))) > least - 1e-6
    kept = torch.nonzero(fits)[:PATCHES, 0]
    number, first, second, kind = (part[kept].to(brain.device) for part in (number, first, second, kind))
    return Pairs(number, (first[:, 0], first[:, 1]), (second[:, 0], second[:, 1]), kind)


def small_shifts(patch: int, generator: torch.Generator) -> Tensor:
    """Shifts (TRIED, 2) of up to a 32nd of the patch, one pixel at least, never none."""
    most = max(1, patch // 32)
    shift = torch.randint(-most, most + 1, (TRIED, 2), generator=generator)
    shift[(shift == 0).all(dim=1)] = torch.tensor([0, most])
    return shift


def large_shifts(patch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Shifts (TRIED, 2) into one of eight places, three quarters of the patch and up to a quarter more, and which."""
    place = torch.randint(8, (TRIED,), generator=generator)
    jitter = torch.randint(max(1, patch // 4), (TRIED, 2), generator=generator)
    return AROUND[place] * (3 * patch // 4 + jitter), place


class PatchSvdd(Reconstruct):
    """Codes of neighbours near each other, those of patches beside each other such that one can tell where they lie."""

    network: PatchSvddModel

    def __init__(self, network: PatchSvddModel, budget: Budget, learning_rate: float, near_weight: float = 1.0) -> None:
        super().__init__(network, budget, learning_rate)
        self.near_weight = near_weight

    def loss(self, batch: Batch) -> Tensor:
        """The value to lower; each step has other patches."""
        return self._of(batch, seed=int(torch.randint(1, 2**31, ())))

    def validate(self, batch: Batch) -> Tensor:
        """The same, with the same patches each time."""
        return self._of(batch, seed=0)

    def l1(self, batch: Batch) -> Tensor:
        """Undefined: it reconstructs nothing."""
        return torch.tensor(torch.nan)

    def _of(self, batch: Batch, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.stack([self._at_scale(batch, scale, generator) for scale in (0, 1)]).sum()

    def _at_scale(self, batch: Batch, scale: int, generator: torch.Generator) -> Tensor:
        images, brain = batch
        patch = self.network.encoder.sizes.patch * 2**scale
        near = pairs(brain, patch, small_shifts(patch, generator), 0.5, generator)
        one, other = (self._codes(images, near.number, corner, patch, scale) for corner in (near.first, near.second))
        total = self.near_weight * (one - other).norm(dim=1).sum() / max(1, len(one))
        shifts, place = large_shifts(patch, generator)
        # Wholly within the brain: the shape of the background alone would tell where a patch lies.
        beside = pairs(brain, patch, shifts, 1.0, generator)
        if len(beside.number):
            codes = (
                self._codes(images, beside.number, corner, patch, scale, generator)
                for corner in (beside.first, beside.second)
            )
            total = total + functional.cross_entropy(
                self.network.classifiers[scale](*codes), place.to(images.device)[beside.kind]
            )
        return total

    def _codes(
        self,
        images: Tensor,
        number: Tensor,
        corner: tuple[Tensor, Tensor],
        patch: int,
        scale: int,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Codes (k, code) of patches, changed a little where there is a generator."""
        patches = cut(images, number, *corner, patch)
        if generator is not None:
            shift = torch.randn((len(patches), 1, 1, 1), generator=generator)
            noise = torch.randn(patches.shape, generator=generator)
            patches = patches + NOISE * (shift + noise).to(patches)
        return self.network.encoder.codes(patches, scale)[:, :, 0, 0]
