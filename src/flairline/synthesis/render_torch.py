"""Rendering by torch, on any device. Noise is numpy's, so that a scan is the same on every device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flairline.synthesis import render as rendering
from flairline.synthesis.plan import Rendered, ScanPlan
from flairline.synthesis.render_numpy import NumpyArrays

DTYPES: dict[type[np.generic], torch.dtype] = {np.float32: torch.float32, np.int32: torch.int32, np.int16: torch.int16}


class TorchArrays:
    """`arrays.Arrays` by torch on one device."""

    exp = staticmethod(torch.exp)
    sqrt = staticmethod(torch.sqrt)
    cos = staticmethod(torch.cos)
    rint = staticmethod(torch.round)
    hypot = staticmethod(torch.hypot)
    sigmoid = staticmethod(torch.sigmoid)

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._host = NumpyArrays()

    def put(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def get(self, array: Tensor) -> NDArray[Any]:
        return array.cpu().numpy()

    def zeros(self, shape: Sequence[int], dtype: type[np.generic]) -> Tensor:
        return torch.zeros(tuple(shape), dtype=DTYPES[dtype], device=self.device)

    def cast(self, array: Tensor, dtype: type[np.generic]) -> Tensor:
        return array.to(DTYPES[dtype])

    def where(self, condition: Tensor, first: Tensor, second: Tensor) -> Tensor:
        return torch.where(condition, first, second)

    def clip(self, array: Tensor, low: float | None, high: float | None) -> Tensor:
        return torch.clamp(array, low, high)

    def maximum(self, first: Tensor, second: Tensor | float) -> Tensor:
        return torch.maximum(first, torch.as_tensor(second, dtype=first.dtype, device=self.device))

    def minimum(self, first: Tensor, second: Tensor | float) -> Tensor:
        return torch.minimum(first, torch.as_tensor(second, dtype=first.dtype, device=self.device))

    def ramp(self, depth: Tensor, edge_mm: float) -> Tensor:
        if edge_mm == 0:
            return (depth >= 0).to(torch.float32)
        return torch.clamp(0.5 + depth / edge_mm, 0, 1)

    def take(self, array: Tensor, index: Tensor, axis: int) -> Tensor:
        return torch.index_select(array, axis, index)

    def stack(self, arrays: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(arrays))

    def nonzero(self, mask: Tensor) -> Tensor:
        return mask.nonzero()[:, 0]

    def mesh(self, axes: Sequence[NDArray[np.float32]]) -> Tensor:
        places = torch.meshgrid(*(self.put(axis) for axis in axes), indexing="ij")
        return torch.stack([place.reshape(-1) for place in places])

    def project(self, basis: NDArray[np.float32], values: Tensor, axis: int) -> Tensor:
        return torch.moveaxis(torch.tensordot(self.put(basis), values, ([1], [axis])), 0, axis)

    def linear(
        self, volume: NDArray[np.float32], origin_mm: NDArray[np.floating], sides_mm: NDArray[np.floating], mm: Tensor
    ) -> Tensor:
        lines = []
        for axis in (2, 1, 0):  # grid_sample wants z, y, x, each scaled to -1..1 from the first to the last voxel
            half = max(volume.shape[axis] - 1, 1) / 2
            lines.append((mm[axis] - float(origin_mm[axis])) / float(sides_mm[axis]) / half - 1)
        places = torch.stack(lines, dim=-1)[None, None, None].float()
        return functional.grid_sample(self.put(volume)[None, None], places, align_corners=True)[0, 0, 0, 0]

    def blur(self, volume: Tensor, sigma: Sequence[float]) -> Tensor:
        # On the CPU scipy's filter is seven times as fast as torch's convolution of one channel.
        if volume.device.type == "cpu":
            return torch.from_numpy(self._host.blur(volume.numpy(), sigma))
        return convolved(volume, sigma)

    def fill_holes(self, mask: Tensor) -> Tensor:
        return torch.from_numpy(self._host.fill_holes(mask.cpu().numpy())).to(self.device)


def convolved(volume: Tensor, sigma: Sequence[float]) -> Tensor:
    """Gaussian smoothing by convolutions on the volume's device, as `arrays.Arrays.blur` has it."""
    for axis, side in enumerate(sigma):
        if side >= 0.2:
            volume = _blurred_along(volume, side, axis)
    return volume


def _blurred_along(volume: Tensor, sigma: float, axis: int) -> Tensor:
    """scipy's Gaussian, cut off at three standard deviations, along one axis."""
    reach = int(3 * sigma + 0.5)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).to(volume)
    lines = volume.movedim(axis, -1)
    flat = lines.reshape(-1, 1, lines.shape[-1])
    flat = functional.conv1d(functional.pad(flat, (reach, reach), mode="replicate"), kernel[None, None])
    return flat.reshape(lines.shape).movedim(-1, axis)


def render(plan: ScanPlan, device: torch.device | str = "cpu") -> Rendered:
    """One scan by torch on a device, see `render.render`."""
    return rendering.render(plan, TorchArrays(device))
