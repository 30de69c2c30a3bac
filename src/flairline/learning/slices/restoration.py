"""Restoration: the nearest image that the model holds for healthy (You et al. 2019, Chen et al. 2020).

Each slice is its own problem and its loss a sum over its own pixels, so one gradient call moves all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from flairline.learning.networks.frozen import frozen, in_chunks
from flairline.learning.slices.options import Restoration
from flairline.learning.slices.scorers import check_reconstruction, difference, kl_slopes, through

__all__ = ["Restoration", "restoration_scores", "total_variation_gradient"]

LOG = logging.getLogger(__name__)

Penalty = Callable[[Any], Tensor]


@torch.inference_mode(False)
def restoration_scores(
    network: nn.Module,
    y: Tensor,
    brain: Tensor,
    batch: int,
    options: Restoration,
    sign: str = "positive",
    penalty: Penalty | None = None,
) -> tuple[Tensor, Tensor]:
    """How far each pixel is from its restoration x*, and x*.

    Parameters
    ----------
    network
        Gives x_hat, and mu and log_sigma or None; its eval mode is used, whatever mode it is in.
    y, brain
        Slices (n, 1, S, S) in [0, 1], and 0/1 of the same shape.
    sign
        "positive": y - x* where that is above zero; "absolute": |y - x*|.
    penalty
        What the codes of each image cost, (n,), from what the network gives; None: KL of its mu and log_sigma.

    Raises
    ------
    InputError
        Unknown reconstruction or sign.
    """
    check_reconstruction(options.reconstruction)
    ready = frozen(network)

    def restored(y: Tensor, brain: Tensor) -> Tensor:
        return restore(ready, y, brain, options, penalty)

    kind = torch.promote_types(y.dtype, torch.float32)  # double stays double, half does not stay half
    result = in_chunks(restored, batch, y.to(kind), brain.to(kind))
    moved = float(((y - result).abs() * brain).max()) if len(y) else 0.0
    LOG.info("Restoration moved a pixel by %.3f at most; a gradient of 1 reaches %.3f.", moved, options.reach)
    return difference(y, result, brain, sign), result * brain


def restore(
    network: nn.Module, y: Tensor, brain: Tensor, options: Restoration, penalty: Penalty | None = None
) -> Tensor:
    """x* of slices (n, 1, S, S), all in one batch through a network from `frozen`."""
    result, moving = y.clone(), torch.arange(len(y), device=y.device)
    x, observed, mask = y.clone(), y, brain
    for step in range(options.steps):
        gradient = _gradient(network, x, observed, options, penalty)
        if options.clip is not None:
            gradient.clamp_(-options.clip, options.clip)
        if options.masked:
            gradient.mul_(mask)
        x = x.sub_(gradient, alpha=options.eta_at(step))
        if options.tolerance > 0:
            farthest = gradient.abs().amax(dim=(1, 2, 3)) * options.eta_at(step)
            result[moving] = x
            going = farthest > options.tolerance
            if not going.any():
                return result
            moving, x, observed, mask = moving[going], x[going], observed[going], mask[going]
    result[moving] = x
    return result


def _gradient(network: nn.Module, x: Tensor, y: Tensor, options: Restoration, penalty: Penalty | None) -> Tensor:
    """dL/dx. What is simple is written out, so that autograd sees the network and the penalty alone."""
    with torch.enable_grad():
        given = x.detach().requires_grad_()
        found = network(given)
        cost = None if penalty is None else penalty(found)
    residual = x - found.x_hat.detach()
    pull = 2 * residual if options.reconstruction == "l2" else slope(residual, options.smoothing)
    kl_weight = options.kl_weight
    if options.legacy_batch_mean != 1:
        pull, kl_weight = pull / options.legacy_batch_mean, kl_weight / options.legacy_batch_mean
    if options.legacy_tv_on_residual:
        pull = pull + options.tv_weight * total_variation_gradient(residual, options.smoothing)
    results, weights = [found.x_hat], [-pull]
    if cost is not None:
        results.append(cost)
        weights.append(torch.full_like(cost, kl_weight))
    elif found.mu is not None and found.log_sigma is not None:
        results += [found.mu, found.log_sigma]
        weights += [kl_weight * part for part in kl_slopes(found.mu.detach(), found.log_sigma.detach())]
    gradient = pull + through(results, given, weights)
    if not options.legacy_tv_on_residual:
        gradient = gradient + options.tv_weight * total_variation_gradient(x - y, options.smoothing)
    return gradient


def slope(values: Tensor, smoothing: float) -> Tensor:
    """Derivative of |value|, which goes from -1 to 1 in a straight line within `smoothing` of zero."""
    return values.sign() if smoothing == 0 else (values / smoothing).clamp_(-1, 1)


def total_variation_gradient(images: Tensor, smoothing: float = 0.0) -> Tensor:
    """Gradient of the sum of |differences| between neighbours in rows and columns, towards images (n, 1, S, S)."""
    result = torch.zeros_like(images)
    for axis in (-2, -1):
        steps = slope(images.diff(dim=axis), smoothing)
        n_steps = steps.shape[axis]
        result.narrow(axis, 1, n_steps).add_(steps)
        result.narrow(axis, 0, n_steps).sub_(steps)
    return result
