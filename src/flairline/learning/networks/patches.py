"""Networks that see patches of a slice, and the grid that the patches lie on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from flairline.learning.networks.memory import PatchMemory

SLOPE = 0.1
WIDTHS = (64, 128, 128, 64, 32, 32)
"""Of the 3 x 3 convolutions after the first, as Yi & Yoon's code has them for patches of 32."""


@dataclass(frozen=True)
class PatchSizes:
    """Patches, networks and memory.

    Attributes
    ----------
    size
        Side of the slices in pixels.
    patch, stride
        Side of the (smaller) patches and the way from one to the next, in pixels.
    code
        Numbers that a patch becomes.
    filters
        Of an encoder's first convolution.
    levels
        Heights, from the brain's lowest slice to its highest, that the memory tells apart.
    memory
        Patches that it holds at most, at each scale: 130 bytes each at 64 numbers.
    memory_slices
        Slices of healthy scans, evenly spaced, that it is chosen from.
    """

    size: int = 128
    patch: int = 16
    stride: int = 4
    code: int = 64
    filters: int = 32
    levels: int = 48
    memory: int = 200_000
    memory_slices: int = 1_000

    def __post_init__(self) -> None:
        if self.patch % 8 or self.stride % 2 or not self.stride <= self.patch <= self.size // 2:
            msg = f"no patches of {self.patch} pixels, {self.stride} apart, in slices of {self.size}"
            raise ValueError(msg)

    def side(self, scale: int = 1) -> int:
        """Patches of `scale` times the side along one axis of a slice."""
        return (self.size - scale * self.patch) // self.stride + 1


def share_of(brain: Tensor, patch: int, stride: int) -> Tensor:
    """Share of brain in each patch, (n, side, side), of brains (n, 1, size, size)."""
    return functional.avg_pool2d(brain, patch, stride)[:, 0]


def spread(values: Tensor, valid: Tensor, patch: int, stride: int, size: int) -> Tensor:
    """Mean over the patches that cover a pixel, (n, 1, size, size), of values (n, side, side); else 0."""
    kernel = torch.ones((1, 1, patch, patch), dtype=values.dtype, device=values.device)
    weight = valid.to(values.dtype)
    total, count = (
        functional.conv_transpose2d(part[:, None], kernel, stride=stride)
        for part in (torch.where(valid, values, torch.zeros_like(values)), weight)
    )
    mean = total / count.clamp(min=1)
    beyond = size - mean.shape[-1]
    return functional.pad(mean, (0, beyond, 0, beyond))


def cut(images: Tensor, number: Tensor, top: Tensor, left: Tensor, patch: int) -> Tensor:
    """Patches (k, 1, patch, patch) of images (n, 1, size, size): the k-th of image `number` with this corner."""
    along = torch.arange(patch, device=images.device)
    return images[number[:, None, None], 0, (top[:, None] + along)[:, :, None], (left[:, None] + along)[:, None]][
        :, None
    ]


class TwoScaleEncoder(nn.Module):
    """Codes of patches of two sides, the larger one's from those of its four quarters (Yi & Yoon 2020).

    Convolutions without padding or normalisation, tanh at the end. A whole slice goes through at once and gives the
    codes of all its patches, every second pixel one.
    """

    def __init__(self, sizes: PatchSizes) -> None:
        super().__init__()
        self.sizes = sizes
        inner = ((sizes.patch - 3) // 2 + 1 - 1) // 2  # 3 x 3 convolutions that leave one pixel
        if inner > len(WIDTHS) + 1:
            msg = f"patches of {sizes.patch} pixels want {inner} convolutions, {len(WIDTHS) + 1} are known"
            raise ValueError(msg)
        widths = [sizes.filters, *(width * sizes.filters // 32 for width in WIDTHS[: inner - 1]), sizes.code]
        layers: list[nn.Module] = [nn.Conv2d(1, sizes.filters, 3, stride=2)]
        for before, after in pairwise(widths):
            layers += [nn.LeakyReLU(SLOPE), nn.Conv2d(before, after, 3)]
        self.small = nn.Sequential(*layers, nn.Tanh())
        self.large = nn.Sequential(
            nn.Conv2d(sizes.code, 4 * sizes.filters, 2, dilation=sizes.patch // 2),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(4 * sizes.filters, sizes.code, 1),
            nn.Tanh(),
        )

    def codes(self, images: Tensor, scale: int) -> Tensor:
        """Codes (n, code, h, w) of all small (0) or large (1) patches of images (n, 1, ...), every second pixel one."""
        small = self.small(images)
        return self.large(small) if scale else small

    def on_grid(self, images: Tensor, scale: int) -> Tensor:
        """The same for slices, (n, code, side, side), of the patches that lie `stride` apart."""
        step, side = self.sizes.stride // 2, self.sizes.side(2**scale)
        return self.codes(images, scale)[..., ::step, ::step][..., :side, :side]


class PlaceClassifier(nn.Module):
    """Which of eight places the second patch has, from the difference of the codes.

    The last layer learns as the others do; published code normalises it without a gradient, so that it stays as drawn.
    """

    def __init__(self, code: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(code, 128), nn.LeakyReLU(0.1), nn.Linear(128, 128), nn.LeakyReLU(0.1), nn.Linear(128, 8)
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Logits (k, 8) from codes (k, code)."""
        return self.layers(first - second)


class PatchSvddModel(nn.Module):
    """Encoder, what it learns by, and for both scales the healthy patches and their usual distance.

    `usual` (2, 2) are median and median absolute deviation of a held-out healthy patch's distance, by scale.
    """

    def __init__(self, sizes: PatchSizes) -> None:
        super().__init__()
        self.encoder = TwoScaleEncoder(sizes)
        self.classifiers = nn.ModuleList(PlaceClassifier(sizes.code) for _ in range(2))
        self.small_memory, self.large_memory = (
            PatchMemory(sizes.memory, sizes.code, sizes.side(scale), sizes.levels) for scale in (1, 2)
        )
        self.register_buffer("usual", torch.ones(2, 2))
        self.usual: Tensor

    @property
    def memories(self) -> tuple[PatchMemory, PatchMemory]:
        """Of both scales."""
        return self.small_memory, self.large_memory
