"""A network made ready for scoring alone, and chunks of slices on all cores."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BEFORE = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d)
"""Layers that make a new tensor, and do not need it for their own gradient."""
CPU_BATCH = 8
"""More slices than this in a chunk leave the cache of a CPU core."""


def frozen(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose weights take no gradient, in the memory layout that a CPU's kernels like best.

    Batch norm goes into the convolution before it: the same function, but for rounding.
    """
    ready = copy.deepcopy(network).eval().requires_grad_(False)
    for block in [module for module in ready.modules() if isinstance(module, nn.Sequential)]:
        for place, (before, module) in enumerate(pairwise(list(block))):
            if isinstance(module, nn.BatchNorm2d) and isinstance(before, nn.Conv2d | nn.ConvTranspose2d):
                block[place] = fuse_conv_bn_eval(before, module, isinstance(before, nn.ConvTranspose2d))
                block[place + 1] = nn.Identity()
        alone = [module for module in block if not isinstance(module, nn.Identity)]
        for before, module in pairwise(alone):
            if isinstance(module, nn.LeakyReLU | nn.ReLU) and isinstance(before, BEFORE):
                module.inplace = True  # nobody else reads its input
    return ready.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def in_chunks(function: Callable[..., Tensor], batch: int, *tensors: Tensor) -> Tensor:
    """`function` of `batch` slices of the tensors at a time, joined.

    On a CPU one core takes one chunk: cores that share a slice wait for each other at every layer.
    """
    threads = torch.get_num_threads()
    if tensors[0].device.type != "cpu" or threads == 1:
        return torch.cat([function(*chunk) for chunk in zip(*(t.split(batch) for t in tensors), strict=True)])
    share = -(-len(tensors[0]) // threads)
    chunks = list(zip(*(t.split(min(batch, share, CPU_BATCH)) for t in tensors), strict=True))

    def alone(chunk: tuple[Tensor, ...]) -> Tensor:
        torch.set_num_threads(1)
        return function(*chunk)

    try:
        with ThreadPoolExecutor(min(threads, len(chunks))) as cores:
            return torch.cat(list(cores.map(alone, chunks)))
    finally:
        torch.set_num_threads(threads)
