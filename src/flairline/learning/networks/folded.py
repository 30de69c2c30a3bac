"""A U-Net on a grid of 2 mm that has the voxels of 1 mm as channels, and how a plain one becomes such a one."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import torch
from torch import Tensor

FOLD = 2
"""Voxels along each axis that become channels."""
PARTS = list(product(range(FOLD), repeat=3))
"""Where the voxel of each channel lies in its cell, in the channels' order."""
FIRST, UP, LAST = "model.0.conv.unit0.conv", "model.2.0", "model.2.1.conv.unit0.conv"
AROUND = "model.0.residual"
"""MONAI's names for what touches the grid of 1 mm in a plain U-Net: two convolutions in, two out."""


class FoldedUNet(torch.nn.Module):
    """MONAI's residual U-Net whose finest level holds 2 x 2 x 2 voxels of 1 mm as eight channels, in and out.

    A plain one of the same cost halves the grid at once, and one transposed convolution makes 1 mm of what comes back;
    here every voxel of 1 mm has a channel and weights of its own before and after the deeper levels (pixel shuffle: Shi
    et al. 2016, https://arxiv.org/abs/1609.05158). All that a plain one does, this can do (`folded_weights`).
    """

    def __init__(self, features: tuple[int, ...], images: int = 1, context: int = 0) -> None:
        super().__init__()
        from monai.networks.nets import UNet

        channels, strides = FOLD**3, (1,) + (2,) * (len(features) - 2)
        inlets = channels * images + context
        self.unet = UNet(3, inlets, channels, features, strides, num_res_units=2, norm="batch")
        # MONAI passes a first level that keeps its grid by with 1 x 1 x 1 weights, which see no neighbouring cell.
        self.unet.model.get_submodule("0").residual = torch.nn.Conv3d(inlets, features[0], 3, padding=1)

    def forward(self, image: Tensor, context: Tensor | None = None) -> Tensor:
        """Logits of a batch.

        Parameters
        ----------
        image
            (batch, images, x, y, z); sides that are multiples of 16.
        context
            (batch, context, x/2, y/2, z/2), what is known of each cell of 2 mm; None where the network takes none.

        Returns
        -------
        Tensor
            (batch, 1, x, y, z).
        """
        from monai.networks.utils import pixelshuffle, pixelunshuffle

        folded = pixelunshuffle(image, 3, FOLD)
        if context is not None:
            folded = torch.cat([folded, context.to(folded.dtype)], dim=1)
        return pixelshuffle(self.unet(folded.contiguous(memory_format=torch.channels_last_3d)), 3, FOLD)


def widened_weights(state: Mapping[str, Tensor], network: torch.nn.Module) -> dict[str, Tensor]:
    """The weights with which a `FoldedUNet` of more inlets computes what the one of these weights does.

    Inlets that were not there before weigh nothing, so a training starts from what the smaller network computes.
    They come after the others: images first, then context.
    """
    wanted = network.state_dict()
    widened = dict(state)
    for name in (f"unet.{FIRST}.weight", f"unet.{AROUND}.weight"):
        missing = wanted[name].shape[1] - state[name].shape[1]
        if missing > 0:
            nothing = state[name].new_zeros(len(state[name]), missing, *state[name].shape[2:])
            widened[name] = torch.cat([state[name], nothing], dim=1)
    return widened


def folded_weights(plain: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights with which a `FoldedUNet` computes what the plain U-Net of these weights does."""
    state = {}
    for name, tensor in plain.items():
        if name in (f"{FIRST}.weight", f"{AROUND}.weight", f"{UP}.conv.weight"):
            state[name] = _in_cells(tensor)
        elif name == f"{LAST}.weight":
            state[name] = torch.cat([_in_cells(tensor, part) for part in PARTS])
        elif tensor.ndim and (name in (f"{UP}.conv.bias", f"{LAST}.bias") or name.startswith(f"{UP}.adn.N.")):
            state[name] = tensor.repeat(len(PARTS))
        else:
            state[name] = tensor.clone()
    return {f"unet.{name}": tensor for name, tensor in state.items()}


def _in_cells(kernel: Tensor, of: tuple[int, ...] = (0, 0, 0)) -> Tensor:
    """A kernel of 1 mm, (n, 1, 3, 3, 3), around voxel `of` of a cell, as one over cells, (n, 8, 3, 3, 3)."""
    cells = kernel.new_zeros(len(kernel), len(PARTS), *kernel.shape[2:])
    for channel, part in enumerate(PARTS):
        for x, y, z in product(range(3), repeat=3):
            i, j, k = (FOLD * (cell - 1) + p - o + 1 for cell, p, o in zip((x, y, z), part, of, strict=True))
            if all(0 <= tap < 3 for tap in (i, j, k)):
                cells[:, channel, x, y, z] = kernel[:, 0, i, j, k]
    return cells
