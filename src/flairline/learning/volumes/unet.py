"""The U-Net: how it is built and how a whole scan goes through it. Scoring needs no Lightning."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flairline.learning.networks.folded import FoldedUNet
from flairline.synthesis.training import Z_RANGE

SCALE = 4.0
"""Half-widths per unit of the network's input."""


def build(features: tuple[int, ...], folded: bool = True) -> torch.nn.Module:
    """MONAI's residual U-Net, folded (`FoldedUNet`), or plain, as older model folders have it.

    Batch norm: running statistics keep absolute brightness, at any size of the input. Features that are multiples of 16
    keep bfloat16 fast on a CPU.
    """
    from monai.networks.nets import UNet

    network: torch.nn.Module = (
        FoldedUNet(features)
        if folded
        else UNet(3, 1, 1, features, (2,) * (len(features) - 1), num_res_units=2, norm="batch")
    )
    return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


class WholeScans(torch.utils.data.Dataset):
    """Whole scans of a cache, padded to a multiple of the network's reach; (1, x, y, z) each."""

    def __init__(self, stems: list) -> None:
        self.stems = stems

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        from flairline.synthesis.scan_store import read_scan

        image, truth = read_scan(self.stems[index])
        padded, where = pad(image)
        target = np.zeros(padded.shape, dtype=np.float32)
        target[where] = truth
        return torch.from_numpy(padded)[None], torch.from_numpy(target)[None]


def pad(
    image: NDArray[np.float32], multiple: int = 16, margin: int = 8
) -> tuple[NDArray[np.float32], tuple[slice, ...]]:
    """Dark margin around an image until each side is a multiple; the padded image and where the image lies in it."""
    sides = [int(np.ceil((side + 2 * margin) / multiple)) * multiple for side in image.shape]
    where = tuple(
        slice((big - side) // 2, (big - side) // 2 + side) for big, side in zip(sides, image.shape, strict=True)
    )
    padded = np.full(sides, Z_RANGE[0], dtype=np.float32)
    padded[where] = image
    return padded, where


@torch.inference_mode()
def lesion_logits(
    network: torch.nn.Module, image: NDArray[np.float32], device: torch.device, bf16: bool = False
) -> NDArray[np.float32]:
    """Logits of a whole scan at 1 mm (x, y, z), averaged with those of its left-right mirror image."""
    padded, where = pad(image)
    source = (torch.from_numpy(padded)[None, None] / SCALE).to(device)
    total = torch.zeros_like(source)
    for mirrored in (False, True):
        given = (source.flip(2) if mirrored else source).contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits = network(given).float()
        total += logits.flip(2) if mirrored else logits
    return (total[0, 0] / 2).cpu().numpy()[where]
