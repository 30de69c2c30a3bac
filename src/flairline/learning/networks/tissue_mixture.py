"""A segmentation that can rebuild the scan: every voxel a mixture of tissues, every tissue one brightness."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 2
"""FLAIR and T1; a T1 that is not there is zero."""


@dataclass(frozen=True)
class MixtureSizes:
    """The grid, the patches and the network.

    Attributes
    ----------
    spacing_mm
        Voxel side of the grid that scans are brought to.
    patch
        Side of a training patch in voxels.
    widths
        Channels of each level; each after the first halves the grid.
    classes
        Tissues, of which the brightest is lesion.
    """

    spacing_mm: float = 1.0
    patch: int = 64
    widths: tuple[int, ...] = (32, 64, 128)
    classes: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # JSON has lists
        if self.patch % 2 ** (len(self.widths) - 1) or self.classes < 3:
            msg = f"no mixture of {self.classes} tissues in patches of {self.patch} with {len(self.widths)} levels"
            raise ValueError(msg)


class TissueMixture(nn.Module):
    """A network without skips to a softmax over tissues, and what the scan would be if each had one brightness.

    The brightnesses are softplus of free weights: never negative, and never stuck at zero, where a weight that is
    clamped there stays for ever once its gradient has pushed it below.
    """

    def __init__(self, sizes: MixtureSizes) -> None:
        super().__init__()
        from monai.networks.nets import AutoEncoder

        strides = (1, *(2,) * (len(sizes.widths) - 1))
        self.to_tissues = AutoEncoder(
            3, CHANNELS, sizes.classes, sizes.widths, strides, num_res_units=1, act="LEAKYRELU", norm="batch"
        )
        self.free = nn.Parameter(torch.zeros(CHANNELS, sizes.classes))

    @property
    def brightness(self) -> Tensor:
        """Of each tissue in FLAIR and T1, (2, classes), at least zero."""
        return functional.softplus(self.free)

    @property
    def lesion(self) -> int:
        """The tissue that is brightest in FLAIR."""
        return int(self.brightness[0].argmax())

    def set_brightness(self, values: Tensor) -> None:
        """Begin with these (2, classes), above zero."""
        with torch.no_grad():
            self.free.copy_(torch.log(torch.expm1(values.clamp(min=1e-3))))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes, x, y, z) of images (n, 2, x, y, z), sides that the levels divide."""
        return self.to_tissues(images)

    def rebuilt(self, shares: Tensor) -> Tensor:
        """The images (n, 2, x, y, z) of shares of tissues (n, classes, x, y, z)."""
        return torch.einsum("ck,nkxyz->ncxyz", self.brightness, shares)
