"""Patches, their copies and the distances of their codes: training and scores (van Hespen et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from flairline.errors import InputError
from flairline.learning.loop import ManualObjective
from flairline.learning.networks.ganomaly import Ganomaly
from flairline.learning.networks.patches import cut, share_of, spread
from flairline.learning.slices.objectives import BETAS, Batch
from flairline.learning.slices.options import PatchSearch
from flairline.learning.slices.patch_scorers import distances, healthy_scale, remember, scans_of
from flairline.learning.slices.slice_cache import SliceStore

DISTANCES = ("ganomaly", "mahalanobis", "knn")
PATCHES = 64
"""In a batch."""
COPY_WEIGHT, CODE_WEIGHT = 50.0, 1.0
"""Beside the critic's features (Akcay et al. 2018)."""
HELD_SLICES, LEAST_VARIANCE = 64, 1e-4


class CopyPatches(ManualObjective):
    """A copy that looks like its patch (L1), has its features for the critic, and the same code; a critic of copies.

    Patches of half brain at least, at random places. The held-out value is that of copy and code, without the critic.
    """

    network: Ganomaly

    def loss(self, batch: Batch) -> Tensor:
        """Step the networks, then the critic; the value of the first."""
        copying, critic = self.steppers()
        patches = self._patches(batch, seed=int(torch.randint(1, 2**31, ())))
        copied, z, back = self.network(patches)
        _, real = self.network.judged(patches)
        _, features = self.network.judged(copied)
        value = self._value(patches, copied, z, back) + functional.mse_loss(features, real.detach())
        self._step(copying, value)
        real_logit, fake_logit = (self.network.judged(part)[0] for part in (patches, copied.detach()))
        entropy = functional.binary_cross_entropy_with_logits
        self._step(critic, entropy(real_logit, torch.ones_like(real_logit)) + entropy(fake_logit, 0 * fake_logit))
        return value

    def validate(self, batch: Batch) -> Tensor:
        """Copy and code of the same patches each time."""
        patches = self._patches(batch, seed=0)
        return self._value(patches, *self.network(patches))

    def l1(self, batch: Batch) -> Tensor:
        """Undefined: it copies patches and reconstructs no slice."""
        return torch.tensor(torch.nan)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for the three networks, and for the critic."""
        model = self.network
        parts = ((model.first, model.decoder, model.second), (model.features, model.last))
        return [
            torch.optim.Adam([p for part in group for p in part.parameters()], self.learning_rate, BETAS)
            for group in parts
        ]

    def _value(self, patches: Tensor, copied: Tensor, z: Tensor, back: Tensor) -> Tensor:
        return COPY_WEIGHT * functional.l1_loss(copied, patches) + CODE_WEIGHT * functional.mse_loss(back, z)

    def _step(self, optimizer: torch.optim.Optimizer, value: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(value)
        optimizer.step()

    def _patches(self, batch: Batch, seed: int) -> Tensor:
        images, brain = batch
        generator, patch = torch.Generator().manual_seed(seed), self.network.sizes.patch
        there = torch.nonzero(share_of(brain, patch, 1) >= 0.5)
        if not len(there):  # slices of little brain: any patch of them
            there = torch.nonzero(share_of(torch.ones_like(brain), patch, 1) >= 0.5)
        picked = there[torch.randint(len(there), (PATCHES,), generator=generator).to(there.device)]
        number, top, left = picked.T
        return cut(images, number, top, left, patch)


@torch.no_grad()
def patch_distance_scores(
    model: Ganomaly, x: Tensor, brain: Tensor, batch: int, options: PatchSearch, distance: str = "ganomaly"
) -> tuple[Tensor, Tensor]:
    """Standardised distance, at least zero, the mean over the patches that cover a pixel; and the slices themselves.

    Raises
    ------
    InputError
        Another distance.
    """
    if distance not in DISTANCES:
        msg = f"Wanted a distance out of {', '.join(DISTANCES)}, found {distance!r}. Give one of them."
        raise InputError(msg)
    median, deviation = model.usual[DISTANCES.index(distance)]
    away, valid = _away(model, (x, brain), batch, options, distance)
    sizes = model.sizes
    found = spread((away - median) / deviation, valid, sizes.patch, sizes.stride, sizes.size)
    return found.clamp(min=0) * brain, x * brain


def _away(
    model: Ganomaly, scan: tuple[Tensor, Tensor], batch: int, options: PatchSearch, distance: str
) -> tuple[Tensor, Tensor]:
    """Distance of each patch of the grid, and which hold enough brain, (n, side, side) each."""
    images, brain = scan
    grid = (model.sizes.patch, model.sizes.stride)
    if distance == "knn":
        return distances(partial(codes, model), model.memory, scan, grid, batch, options)
    of_patches: dict[str, Callable[[Tensor], Tensor]] = {
        "ganomaly": lambda patches: torch.linalg.vector_norm(model(patches)[1] - model(patches)[2], dim=1),
        "mahalanobis": lambda patches: torch.linalg.vector_norm(
            (model.first(patches).flatten(1) - model.centre) @ model.whiten, dim=1
        ),
    }
    found = torch.cat([_on_grid(model, chunk, of_patches[distance]) for chunk in images.split(batch)])
    return found[:, 0], share_of(brain, *grid) >= options.min_brain_share


def codes(model: Ganomaly, images: Tensor) -> Tensor:
    """Codes (n, code, side, side) of the patches of slices (n, 1, S, S)."""
    return _on_grid(model, images, lambda patches: model.first(patches).flatten(1))


def _on_grid(model: Ganomaly, images: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """What a function gives of patches (k, 1, patch, patch), (k,) or (k, m), as (n, m, side, side); slice by slice."""
    sizes = model.sizes
    side = sizes.side()
    parts = []
    for image in images:  # a hundred patches and more each
        patches = functional.unfold(image[None], sizes.patch, stride=sizes.stride)[0].T
        parts.append(function(patches.reshape(-1, 1, sizes.patch, sizes.patch)).reshape(side, side, -1).movedim(-1, 0))
    return torch.stack(parts)


@torch.no_grad()
def settle_ganomaly(
    model: Ganomaly, training: Sequence[SliceStore], held: Sequence[SliceStore], options: PatchSearch
) -> None:
    """The healthy codes' mean, spread and memory, and how far held-out healthy patches are by each distance."""
    sizes, device = model.sizes, model.usual.device
    grid, coded, least = (sizes.patch, sizes.stride), partial(codes, model), options.min_brain_share
    remember(coded, model.memory, training, grid, sizes.memory_slices, least)
    kept = torch.cat(
        [
            coded(images).movedim(1, -1)[share_of(brain, *grid) >= least]
            for images, brain in scans_of(training, HELD_SLICES, device)
        ]
    )
    model.centre.copy_(kept.mean(dim=0))
    covariance = torch.cov(kept.T.double()).reshape(sizes.code, sizes.code)
    values, axes = torch.linalg.eigh(covariance)
    model.whiten.copy_(axes * (values + LEAST_VARIANCE * values.amax() + 1e-12) ** -0.5)
    for number, distance in enumerate(DISTANCES):
        found = []
        for scan in scans_of(held, HELD_SLICES, device):
            away, valid = _away(model, scan, 16, options, distance)
            found.append(away[valid])
        model.usual[number] = healthy_scale(found)
