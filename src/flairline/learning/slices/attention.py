"""Attention of a variational autoencoder: Grad-CAM of its latent code (Liu et al. 2020)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from flairline.errors import InputError, ModelError
from flairline.learning.slices.options import Attention
from flairline.learning.slices.scorers import difference

__all__ = ["Attention", "attention_scores"]


@torch.inference_mode(False)
def attention_scores(
    network: Any, x: Tensor, brain: Tensor, batch: int, options: Attention, sign: str = "positive"
) -> tuple[Tensor, Tensor]:
    """Which pixels drive the latent code from the prior, and the reconstruction, both (n, 1, S, S).

    The map is the sum over channels k of alpha_k A_k, where A is the feature map of the encoder's stage and alpha_k the
    mean over its places of the target's gradient towards A_k; linear interpolation brings it to the slices' size.
    Nothing is divided by what else is in the slice or in the batch: a slice at the prior has no attention.

    Parameters
    ----------
    network
        With `encoder` (images to feature maps, the smallest last), `bottleneck` and `decode`, in eval mode.
    x, brain
        Slices (n, 1, S, S) in [0, 1], and 0/1 of the same shape.
    sign
        "positive": what is above zero, as the paper; "absolute": the map's size, as its code.

    Raises
    ------
    InputError
        The encoder has no such stage, or unknown sign.
    ModelError
        The network has no log_sigma, hence no prior.
    """
    parts = [_attended(network, chunk, options) for chunk in x.split(batch)]
    maps, x_hat = (torch.cat(column) for column in zip(*parts, strict=True))
    maps = functional.interpolate(maps, size=x.shape[-2:], mode="bilinear", align_corners=False)
    return difference(maps, torch.zeros_like(maps), brain, sign), x_hat * brain


def _attended(network: Any, x: Tensor, options: Attention) -> tuple[Tensor, Tensor]:
    """The map (n, 1, h, w) at the stage's own size, not yet signed, and x_hat."""
    with torch.enable_grad():
        features = network.encoder(x.clone().requires_grad_())
        if not 1 <= options.stage <= len(features):
            msg = f"Wanted a stage from 1 to {len(features)}, the encoder's, found {options.stage}. Give one of them."
            raise InputError(msg)
        mu, log_sigma = network.bottleneck.encode(features[-1])
        if log_sigma is None:
            msg = "Wanted a variational network for attention, found one without log_sigma. Give a vae model."
            raise ModelError(msg)
        target = mu.sum() if options.legacy_sum_mu else 0.5 * (mu**2).sum()
    looked_at = features[options.stage - 1]
    gradient = torch.autograd.grad(target, looked_at)[0]
    alpha = gradient.mean(dim=(2, 3), keepdim=True)
    with torch.no_grad():
        return (alpha * looked_at).sum(dim=1, keepdim=True), network.decode(mu)
