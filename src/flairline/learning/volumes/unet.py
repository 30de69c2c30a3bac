"""The U-Net of `synthetic_unet`: network, sizes, and how a whole scan goes through it. Scoring needs no Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flairline.learning.networks.folded import FoldedUNet
from flairline.synthesis.training import Z_RANGE

SCALE = 4.0
"""Half-widths per unit of the network's input."""


@dataclass(frozen=True)
class Size:
    """A preset: the network's features by level, crops a step, steps, and how many synthetic scans to learn from.

    With `template` nilearn's MNI152 average brain is one more anatomy to learn from, beside the label maps.
    """

    features: tuple[int, ...]
    batch: int
    steps: int
    scans: int
    learning_rate: float = 2e-3
    template: bool = True
    validations: int = 5
    """How often, at least, the held-out scans are looked at on the way."""
    frozen: bool = False
    """Batch norm keeps the statistics that it starts with, as in scoring: two crops say little of a scan's."""
    folded: bool = True
    """The network is a `FoldedUNet`; plain ones are in older model folders only."""


SIZES = {
    "small": Size((16, 32, 64, 96, 128), 2, 10000, 300),
    "further": Size((16, 32, 64, 96, 128), 2, 6000, 300, 1e-3, frozen=True),
    "short": Size((16, 32, 64, 96, 128), 2, 300, 117, 5e-4, validations=2, frozen=True),
    "mean": Size((16, 32, 64, 96, 128), 2, 0, 0),
    "large": Size((32, 64, 128, 256, 320), 4, 60000, 4000, 1e-3),
    "test": Size((4, 4, 4, 4, 4), 1, 4, 3, template=False),
}
"""`small` takes an hour's steps on two cores. `further` and `short` go on from a `small` model on other scans.
`mean` calibrates the mean of such models. `large` is for a GPU."""


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


def size_as_config(size: Size) -> Mapping[str, Any]:
    """Plain values for config.json."""
    return asdict(size)
