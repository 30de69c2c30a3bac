"""What is done to an image that a network shall give back unharmed."""

from __future__ import annotations

import torch
from torch import Tensor

SQUARE_PIXELS, AT_SIZE = 20, 128
"""Side of a square at 128 pixels; smaller images get smaller squares."""


def context_mask(
    images: Tensor, brains: Tensor, generator: torch.Generator, count: tuple[int, int] = (1, 3), side: int | None = None
) -> Tensor:
    """Images with `count` squares set to zero, anew for each (Zimmerer et al. 2018; counts and sides as Baur et al.).

    Parameters
    ----------
    images, brains
        (n, 1, size, size); squares begin within each brain's box.
    generator
        On the CPU.
    side
        In pixels; None: 20 of 128.
    """
    size = images.shape[-1]
    side = side or max(1, round(SQUARE_PIXELS * size / AT_SIZE))
    masked = images.clone()
    for number, brain in enumerate(brains[:, 0] > 0):
        rows, columns = (torch.nonzero(brain.any(dim=axis))[:, 0].cpu() for axis in (1, 0))
        if not len(rows):
            continue
        squares = int(torch.randint(count[0], count[1] + 1, (), generator=generator))
        for _ in range(squares):
            # The whole square lies within the brain's box where the box is large enough for it.
            top, left = (
                int(torch.randint(int(a[0]), max(int(a[-1]) + 2 - side, int(a[0]) + 1), (), generator=generator))
                for a in (rows, columns)
            )
            masked[number, 0, top : top + side, left : left + side] = 0
    return masked
