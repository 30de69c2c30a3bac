"""Scores of all slices of one volume from how far each patch is from healthy ones; and what is kept of those."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flairline.errors import InputError
from flairline.learning.networks.memory import PatchMemory, heights
from flairline.learning.networks.patches import PatchSvddModel, share_of, spread
from flairline.learning.slices.options import PatchSearch
from flairline.learning.slices.slice_cache import SliceStore

__all__ = ["PatchSearch", "healthy_scale", "remember", "scans_of", "settle_svdd", "svdd_scores"]

HELD_SLICES = 64
"""Held-out slices, about, that say how far healthy patches are from the kept ones."""
GOLDEN_SHARE = 0.6180339887
"""Of a step that each scan begins later than the one before: any number of scans lie evenly."""
Coded = Callable[[Tensor], Tensor]
"""Slices (n, 1, S, S) to the codes of their patches, (n, code, side, side)."""


@torch.no_grad()
def svdd_scores(
    model: PatchSvddModel, x: Tensor, brain: Tensor, batch: int, options: PatchSearch, fuse: str = "product"
) -> tuple[Tensor, Tensor]:
    """Distance to the nearest healthy patches, both scales together, (n, 1, S, S); and the slices themselves.

    A pixel has the mean over the patches that cover it. `fuse` "product" is the geometric mean of both scales'
    distances over their healthy median, "sum" the mean of their standardised distances, not below zero.

    Raises
    ------
    InputError
        Another `fuse`.
    """
    if fuse not in ("product", "sum"):
        msg = f"Wanted 'product' or 'sum' to fuse the scales by, found {fuse!r}. Give one of the two."
        raise InputError(msg)
    sizes, maps = model.encoder.sizes, []
    for scale, memory in enumerate(model.memories):
        patch, (median, deviation) = sizes.patch * 2**scale, model.usual[scale]
        away, valid = distances(
            partial(model.encoder.on_grid, scale=scale), memory, (x, brain), (patch, sizes.stride), batch, options
        )
        if fuse == "product":  # in logarithms: a product of small distances underflows
            maps.append((spread(away, valid, patch, sizes.stride, sizes.size) / median).clamp(min=1e-12).log())
        else:
            maps.append(spread((away - median) / deviation, valid, patch, sizes.stride, sizes.size))
    both = torch.stack(maps).mean(dim=0)
    return (both.exp() if fuse == "product" else both.clamp(min=0)) * brain, x * brain


@torch.no_grad()
def distances(
    coded: Coded,
    memory: PatchMemory,
    scan: tuple[Tensor, Tensor],
    grid: tuple[int, int],
    batch: int,
    options: PatchSearch,
) -> tuple[Tensor, Tensor]:
    """Distance of each patch to the nearest healthy one, and which patches hold enough brain, (n, side, side) each.

    `scan` are a scan's slices and brains, from bottom to top, `grid` side and stride of its patches.
    """
    images, brain = scan
    valid = share_of(brain, *grid) >= options.min_brain_share
    levels = (heights(brain) * (memory.levels - 1)).round().long().tolist()
    codes = torch.cat([coded(chunk) for chunk in images.split(batch)])
    reach = (options.level_reach, options.place_reach)
    found = torch.zeros(valid.shape, device=images.device)
    for n in torch.nonzero(valid.flatten(1).any(dim=1))[:, 0].tolist():
        found[n] = memory.nearest(codes[n], levels[n], reach, valid[n])
    return found, valid


@torch.no_grad()
def remember(
    coded: Coded, memory: PatchMemory, stores: Sequence[SliceStore], grid: tuple[int, int], slices: int, least: float
) -> None:
    """Keep codes of healthy scans' patches in a memory: of about so many slices.

    They are evenly spaced over each scan and begin elsewhere in every one: if all scans had the same few heights, those
    between would have no code to be compared with.
    """
    codes, places = [], []
    device = memory.codes.device
    filled = [store for store in stores if store.count]
    for number, store in enumerate(filled):
        picked = staggered(store.count, max(2, -(-slices // len(filled))), number)
        images, brain = (part.to(device) for part in store.at(picked))
        valid = share_of(brain, *grid) >= least
        share = picked / (store.count - 1) if store.count > 1 else np.full(len(picked), 0.5)  # as `heights` has it
        levels = torch.from_numpy(share * (memory.levels - 1)).round().long().to(device)
        where = torch.nonzero(valid)
        codes.append(coded(images)[where[:, 0], :, where[:, 1], where[:, 2]])
        places.append(torch.stack([levels[where[:, 0]], where[:, 1], where[:, 2]], dim=1))
    memory.keep(torch.cat(codes), torch.cat(places))


def staggered(count: int, most: int, number: int) -> NDArray[np.int64]:
    """At most `most` of `count` slices, evenly spaced; the first of them hangs on the scan's number."""
    start = (number * GOLDEN_SHARE) % 1
    return np.unique(((np.arange(min(most, count)) + start) / min(most, count) * count).astype(np.int64))


@torch.no_grad()
def healthy_scale(found: Sequence[Tensor]) -> Tensor:
    """Median and median absolute deviation (2,) of held-out healthy values; the deviation is never zero."""
    values = torch.cat([part.flatten() for part in found])
    median = values.median()
    deviation = (values - median).abs().median()
    return torch.stack([median, deviation]).clamp(min=1e-6)


def settle_svdd(
    model: PatchSvddModel, training: Sequence[SliceStore], held: Sequence[SliceStore], options: PatchSearch
) -> None:
    """Fill both memories, and look how far held-out healthy patches are from them."""
    sizes = model.encoder.sizes
    for scale, memory in enumerate(model.memories):
        grid, coded = (sizes.patch * 2**scale, sizes.stride), partial(model.encoder.on_grid, scale=scale)
        remember(coded, memory, training, grid, sizes.memory_slices, options.min_brain_share)
        found = []
        for scan in scans_of(held, HELD_SLICES, model.usual.device):
            away, valid = distances(coded, memory, scan, grid, 16, options)
            found.append(away[valid])
        model.usual[scale] = healthy_scale(found)


def scans_of(stores: Sequence[SliceStore], slices: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Slices and brains of each scan, from bottom to top; about so many in all."""
    filled = [store for store in stores if store.count]
    for store in filled:
        images, brain = store.tensors(max(2, -(-slices // len(filled))))
        yield images.to(device), brain.to(device)
