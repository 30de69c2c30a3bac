"""Iterative energy-based projection: the slice moves until the model rebuilds it (Dehaene et al. 2020).

Each slice is its own problem, so one gradient call moves all of them.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from flairline.learning.networks.frozen import frozen, in_chunks
from flairline.learning.slices.options import Projection
from flairline.learning.slices.restoration import slope
from flairline.learning.slices.scorers import difference, through

__all__ = ["Projection", "projection_scores"]

LOG = logging.getLogger(__name__)


@torch.inference_mode(False)
def projection_scores(
    network: nn.Module, y: Tensor, brain: Tensor, batch: int, options: Projection, sign: str = "positive"
) -> tuple[Tensor, Tensor]:
    """How far each pixel is from its projection x*, and x*.

    Parameters
    ----------
    network
        Gives x_hat; its eval mode is used, whatever mode it is in.
    y, brain
        Slices (n, 1, S, S) in [0, 1], and 0/1 of the same shape. Only the brain's pixels move.
    sign
        "positive": y - x* where that is above zero; "absolute": |y - x*|. The paper squares it, which orders pixels
        as "absolute" does.

    Raises
    ------
    InputError
        Unknown sign.
    """
    ready = frozen(network)

    def projected(y: Tensor, brain: Tensor) -> Tensor:
        return project(ready, y, brain, options)

    kind = torch.promote_types(y.dtype, torch.float32)
    result = in_chunks(projected, batch, y.to(kind), brain.to(kind))
    moved = float(((y - result).abs() * brain).max()) if len(y) else 0.0
    LOG.info("Projection moved a pixel by %.3f at most in %d steps.", moved, options.steps)
    return difference(y, result, brain, sign), result * brain


def project(network: nn.Module, y: Tensor, brain: Tensor, options: Projection) -> Tensor:
    """x* of slices (n, 1, S, S), all in one batch through a network from `frozen`."""
    x = y.clone()
    for _ in range(options.steps):
        residual, gradient = _rebuilt(network, x, options.through_network)
        weight = residual**2 * brain
        if options.normalised:
            largest = weight.amax(dim=(1, 2, 3), keepdim=True)
            weight = weight / largest.clamp(min=torch.finfo(weight.dtype).tiny)
        gradient = gradient + options.observation_weight * slope(x - y, options.smoothing)
        x = x - options.eta * weight * gradient
    return x


def _rebuilt(network: nn.Module, x: Tensor, through_network: bool) -> tuple[Tensor, Tensor]:
    """x - x_hat, and the gradient of the sum of its squares towards x."""
    with torch.set_grad_enabled(through_network):
        given = x.detach().requires_grad_(through_network)
        x_hat = network(given).x_hat
    residual = x - x_hat.detach()
    if not through_network:
        return residual, 2 * residual
    return residual, 2 * residual + through([x_hat], given, [-2 * residual])
