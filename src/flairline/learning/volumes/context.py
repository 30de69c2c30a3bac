"""What a network is told of a place beside its brightness: where it lies, what tissue lies there, and the other side.

A crop of 96 mm has no place of its own. Each cell of 2 x 2 x 2 mm is told its coordinates in the symmetric atlas
MNI152, the shares of tissue that are usual there, and how bright the scan is at the mirrored place.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flairline.synthesis.atlas_places import MAPS, STEP_MM
from flairline.synthesis.training import Z_RANGE

SCALE = 4.0
"""Half-widths per unit of the network's input."""
PLACES = Path(__file__).parent / "_data" / "places.npz"
"""What `synthesis.atlas_places` wrote."""
CONTEXT = ("off the midline", "forward", "upward", *MAPS, "mirrored")
"""The channels of the context, in their order."""
MIDDLE_MM = (0.0, -20.0, 5.0)
REACH_MM = (70.0, 85.0, 70.0)
"""Middle and half-width of the atlas's brain, about."""
FARTHEST = 1.5
"""Coordinates, in half-widths, are cut off here."""
FLIP = np.diag([-1.0, 1.0, 1.0, 1.0])
CELL = 2


def context(image: Tensor, vox_to_atlas: NDArray[np.floating], first: Sequence[int], cells: Sequence[int]) -> Tensor:
    """The context of a box of cells.

    Parameters
    ----------
    image
        The whole scan at about 1 mm in half-widths (x, y, z), as dark as `Z_RANGE` outside the brain.
    vox_to_atlas
        4x4, from its voxels to mm of the atlas.
    first
        The first voxel of the box, which may lie beyond the image.
    cells
        How many cells the box has along each axis.

    Returns
    -------
    Tensor
        (`CONTEXT`, *cells). It is the same for a scan and its mirror image, mirrored.
    """
    lines = [
        start + CELL * torch.arange(count, dtype=torch.float32, device=image.device) + (CELL - 1) / 2
        for start, count in zip(first, cells, strict=True)
    ]
    x, y, z = _moved(vox_to_atlas, lines)
    placed = [(mm - middle) / reach for mm, middle, reach in zip((x, y, z), MIDDLE_MM, REACH_MM, strict=True)]
    placed[0] = placed[0].abs() - 0.5
    shares, origin_mm = _places()
    # The grid of 3 mm is not symmetric, but the atlas is: the left half tells of both.
    left = [(mm - first) / STEP_MM for mm, first in zip((-x.abs(), y, z), origin_mm, strict=True)]
    usual = _sampled(shares.to(image.device), left)
    over = np.linalg.inv(vox_to_atlas) @ FLIP @ vox_to_atlas
    mirrored = _sampled((image - Z_RANGE[0])[None], _moved(over, lines)) + Z_RANGE[0]
    return torch.cat([torch.stack(placed).clamp(-FARTHEST, FARTHEST), usual, mirrored / SCALE])


def shaken(vox_to_atlas: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float64]:
    """A place that is a little wrong, as a rough registration is; by far in one of ten, as where the box must do."""
    wide = 3.0 if rng.random() < 0.1 else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] += np.diag(rng.normal(0, 0.02 * wide, 3)) + rng.normal(0, 0.015 * wide, (3, 3))
    matrix[:3, 3] = rng.normal(0, 2.0 * wide, 3)
    return matrix @ vox_to_atlas


def _moved(matrix: NDArray[np.floating], lines: Sequence[Tensor]) -> list[Tensor]:
    """The three coordinates (x, y, z) of a grid's points, carried by a 4x4 matrix."""
    a, b, c = lines
    return [
        float(row[0]) * a[:, None, None] + float(row[1]) * b[:, None] + float(row[2]) * c + float(row[3])
        for row in matrix[:3]
    ]


def _sampled(volumes: Tensor, voxels: Sequence[Tensor]) -> Tensor:
    """Volumes (n, x, y, z) at fractional voxels, by lines; beyond their border they fall to nothing."""
    halves = [max(side - 1, 1) / 2 for side in volumes.shape[1:]]
    x, y, z = (place / half - 1 for place, half in zip(voxels, halves, strict=True))
    places = torch.stack([z, y, x], dim=-1)[None]  # grid_sample wants the last axis first
    return functional.grid_sample(volumes[None].float(), places, align_corners=True)[0]


@lru_cache(maxsize=1)
def _places() -> tuple[Tensor, tuple[float, ...]]:
    with np.load(PLACES) as stored:
        shares, origin_mm = stored["shares"], stored["origin_mm"]
    return torch.from_numpy(shares.astype(np.float32) / 255), tuple(map(float, origin_mm))
