"""The U-Net: how it is built and how a whole scan goes through it. Scoring needs no Lightning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flairline.learning.networks.folded import FoldedUNet
from flairline.learning.volumes.context import CELL, CONTEXT, SCALE, context, shaken
from flairline.learning.volumes.seen import Seen
from flairline.learning.volumes.sizes import Inlets
from flairline.synthesis.training import Z_RANGE


def build(features: tuple[int, ...], folded: bool = True, inlets: Inlets = Inlets()) -> torch.nn.Module:  # noqa: B008
    """MONAI's residual U-Net, folded (`FoldedUNet`), or plain, as older model folders have it.

    Batch norm: running statistics keep absolute brightness, at any size of the input. Features that are multiples of 16
    keep bfloat16 fast on a CPU.
    """
    from monai.networks.nets import UNet

    network: torch.nn.Module = (
        FoldedUNet(features, 1 + inlets.t1, len(CONTEXT) if inlets.placed else 0)
        if folded
        else UNet(3, 1, 1, features, (2,) * (len(features) - 1), num_res_units=2, norm="batch")
    )
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def held_out(stem: Path, number: int) -> tuple[Seen, NDArray[np.bool_]]:
    """A whole scan of the cache as it is judged, and its truth: every second one with its T1, placed roughly."""
    from flairline.synthesis.scan_store import open_scan

    scan = open_scan(stem)
    t1 = scan.t1.astype(np.float32) if number % 2 else None
    placed = shaken(scan.vox_to_atlas, np.random.default_rng((number, 11)))
    return Seen(scan.image.astype(np.float32), t1, placed), np.array(scan.truth)


class WholeScans(torch.utils.data.Dataset):
    """Whole scans of a cache, padded to a multiple of the network's reach: (images, context, truth)."""

    def __init__(self, stems: list, inlets: Inlets) -> None:
        self.stems, self.inlets = stems, inlets

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        seen, truth = held_out(self.stems[index], index)
        images, around, where = fed(seen, self.inlets, torch.device("cpu"))
        target = np.zeros(images.shape[2:], dtype=np.float32)
        target[where] = truth
        return images[0], around[0], torch.from_numpy(target)[None]


def pad(
    image: NDArray[np.float32], anchor: Sequence[int] | None = None, multiple: int = 16, margin: int = 4
) -> tuple[NDArray[np.float32], tuple[slice, ...]]:
    """A dark margin around an image, as wide as the network's grid wants it; the padded image and where it lies in it.

    Parameters
    ----------
    anchor
        The voxel that comes to lie on a multiple of `multiple`, so that every level of the network has a cell that
        begins there; by default the middle one.
    multiple
        Of which each side of the padded image is one.
    margin
        The least width, on either side.
    """
    anchor = [side // 2 for side in image.shape] if anchor is None else anchor
    sides, where = [], []
    for side, at in zip(image.shape, anchor, strict=True):
        before = margin + (-(at + margin)) % multiple
        sides.append(-(-(before + side + margin) // multiple) * multiple)
        where.append(slice(before, before + side))
    padded = np.full(sides, Z_RANGE[0], dtype=np.float32)
    padded[tuple(where)] = image
    return padded, tuple(where)


def fed(seen: Seen, inlets: Inlets, device: torch.device) -> tuple[Tensor, Tensor, tuple[slice, ...]]:
    """A whole scan as a network takes it: images (1, n, x, y, z), context (1, k, cells), and where the scan lies.

    A T1 that is not there is nothing everywhere, as is that of a training where it is left out.
    """
    padded, where = pad(seen.image, seen.anchor)
    images = [torch.from_numpy(padded) / SCALE]
    if inlets.t1:
        t1 = torch.zeros(padded.shape)
        if seen.t1 is not None:
            t1[where] = torch.from_numpy(np.ascontiguousarray(seen.t1)) / SCALE
        images.append(t1)
    cells = [side // CELL for side in padded.shape]
    around = torch.zeros(0, *cells)
    if inlets.placed:
        assert seen.vox_to_atlas is not None
        image = torch.from_numpy(np.ascontiguousarray(seen.image)).to(device)
        around = context(image, seen.vox_to_atlas, [-part.start for part in where], cells)
    return torch.stack(images)[None].to(device), around[None].to(device), where


@torch.inference_mode()
def lesion_logits(
    network: torch.nn.Module, seen: Seen, device: torch.device, bf16: bool = False, inlets: Inlets | None = None
) -> NDArray[np.float32]:
    """Logits of a whole scan at 1 mm (x, y, z), averaged with those of its left-right mirror image."""
    inlets = inlets or Inlets()
    images, around, where = fed(seen, inlets, device)
    total = torch.zeros_like(images[:, :1])
    for mirrored in (False, True):
        given = [(part.flip(2) if mirrored else part) for part in (images, around)]
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = answer(network, given, inlets)
        total += logits.flip(2) if mirrored else logits
    return (total[0, 0] / 2).cpu().numpy()[where]


def answer(network: torch.nn.Module, given: Sequence[Tensor], inlets: Inlets) -> Tensor:
    """Logits of a batch of images and context; a network that takes no context is not given one."""
    images, around = given
    images = images.contiguous(memory_format=torch.channels_last_3d)
    found: Tensor = network(images, around) if inlets.placed else network(images)
    return found.float()
