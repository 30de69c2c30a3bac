"""Codes of healthy patches by their place, and the nearest of them: normal depends on where in the brain one looks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CANDIDATES = 8
"""So many of the nearest by a matrix product are compared by their differences."""
MOST_DISTANCES = 2**22
"""Distances that are held at once: 16 MB."""


class PatchMemory(nn.Module):
    """Up to `capacity` codes with their places: height in the brain, row and column on the grid of patches.

    Buffers, so that a model folder keeps them: `codes` (capacity, code) in half precision and `places` (capacity, 3),
    in order of height, row and column; -1 where there is none. At 64 numbers a code that is 134 bytes for each.
    """

    def __init__(self, capacity: int, code: int, side: int, levels: int) -> None:
        super().__init__()
        self.side, self.levels = side, levels
        self.register_buffer("codes", torch.zeros(capacity, code, dtype=torch.float16))
        self.register_buffer("places", torch.full((capacity, 3), -1, dtype=torch.int16))
        self.codes: Tensor
        self.places: Tensor

    def keep(self, codes: Tensor, places: Tensor) -> None:
        """Keep codes (k, code) of places (k, 3), at each place the same share: those farthest from each other.

        Greedy k-centre at each place: the first, then ever the one that is farthest from all that are kept.
        """
        number = (places[:, 0] * self.side + places[:, 1]) * self.side + places[:, 2]
        order = number.argsort(stable=True)
        codes, places, number = codes[order], places[order], number[order]
        capacity = len(self.codes)
        if len(codes) > capacity:
            _, counts = number.unique_consecutive(return_counts=True)
            kept = torch.cat(
                [
                    start + spread_out(codes[start : start + count], max(1, int(count * capacity / len(codes))))
                    for start, count in zip((counts.cumsum(0) - counts).tolist(), counts.tolist(), strict=True)
                ]
            )[:capacity]
            codes, places = codes[kept], places[kept]
        self.codes.zero_()[: len(codes)] = codes.half()
        self.places.fill_(-1)[: len(codes)] = places.to(torch.int16)

    def nearest(self, codes: Tensor, level: int, reach: tuple[int, int], wanted: Tensor | None = None) -> Tensor:
        """Distance (side, side) of each code (code, side, side) of a slice at this height to the nearest kept one.

        Parameters
        ----------
        reach
            How many heights, and how many rows and columns, a kept code may lie away. Where none lies so near, all that
            are kept are compared.
        wanted
            Places (side, side) to look at; the others are 0. Air has no kept code near, and would be compared with all.
        """
        heights, cells = reach
        there = self.places[:, 0] >= 0
        near = there & ((self.places[:, 0] - level).abs() <= heights)
        known, rows, columns = self.codes[near].float(), self.places[near, 1], self.places[near, 2]
        by_row = rows.argsort(stable=True)
        known, rows, columns = known[by_row], rows[by_row].contiguous(), columns[by_row]
        result = torch.full(codes.shape[1:], torch.inf, device=codes.device)
        if wanted is None:
            wanted = torch.ones_like(result, dtype=torch.bool)
        for row in torch.nonzero(wanted.any(dim=1))[:, 0].tolist():
            place = torch.nonzero(wanted[row])[:, 0]
            ends = torch.tensor([row - cells, row + cells + 1], dtype=rows.dtype, device=rows.device)
            start, stop = torch.searchsorted(rows, ends).tolist()
            if start == stop:
                continue
            apart = _distances(codes[:, row, place].T, known[start:stop])
            far = (columns[start:stop][None] - place[:, None]).abs() > cells
            result[row, place] = apart.masked_fill(far, torch.inf).amin(dim=1)
        result[~wanted] = 0
        alone = torch.isinf(result)
        if alone.any() and there.any():
            result[alone] = nearest_of_all(codes[:, alone].T, self.codes[there].float())
        return result


def nearest_of_all(codes: Tensor, known: Tensor) -> Tensor:
    """Distance (q,) of codes (q, code) to the nearest of `known` (k, code), by as many at once as `MOST_DISTANCES`.

    A matrix product finds a few candidates, and their differences decide: a product alone loses what lies near.
    """
    chunk, few = max(1, MOST_DISTANCES // max(1, len(known))), min(CANDIDATES, len(known))
    lengths, nearest = known.square().sum(dim=1), []
    for part in codes.split(chunk):
        rough = torch.addmm(lengths, part, known.T, alpha=-2)  # the code's own length is the same for all
        candidates = known[rough.topk(few, dim=1, largest=False, sorted=False).indices]
        nearest.append((part[:, None] - candidates).norm(dim=2).amin(dim=1))
    return torch.cat(nearest)


def _distances(codes: Tensor, known: Tensor) -> Tensor:
    # By differences, not by products: those lose what lies near, and differently for every number of rows.
    return torch.cdist(codes.contiguous(), known, compute_mode="donot_use_mm_for_euclid_dist")


def spread_out(codes: Tensor, count: int) -> Tensor:
    """Numbers (count,) of codes (k, code) that cover the others: the first, then ever the farthest one, in order."""
    chosen = [0]
    away = (codes - codes[0]).norm(dim=1)
    while len(chosen) < min(count, len(codes)):
        chosen.append(int(away.argmax()))
        away = torch.minimum(away, (codes - codes[chosen[-1]]).norm(dim=1))
    return torch.tensor(sorted(chosen), device=codes.device)


def heights(brain: Tensor, least: float = 0.02) -> Tensor:
    """Height (n,) of each slice from 0 to 1, of the slices (n, 1, S, S) of one scan that hold at least so much brain.

    They are taken to reach from the lowest to the highest that is learned from, evenly; what lies beyond gets 0 or 1.
    """
    enough = torch.nonzero(brain.flatten(1).mean(dim=1) >= least)[:, 0]
    if len(enough) < 2:
        return torch.full((len(brain),), 0.5)
    first, last = int(enough[0]), int(enough[-1])
    return ((torch.arange(len(brain)) - first) / (last - first)).clamp(0, 1)
