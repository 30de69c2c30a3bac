"""Scores of all slices of one volume by a trained network. Images and brains are (n, 1, S, S), brains 0/1.

Each function gives the score, at least zero and zero outside the brain, and the reconstruction. A slice's score does
not depend on the batch size; only `gradient_scores` of a kind that is brought to [0, 1] depends on the other slices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from flairline.errors import InputError, ModelError
from flairline.learning.networks.dropout import drawn_masks
from flairline.learning.slices.options import Gradient

__all__ = ["Gradient", "difference", "gradient_scores", "residual_scores"]

STD_FLOOR = 1e-2
"""Added to the standard deviation that a residual is divided by; of images in [0, 1]."""


def difference(x: Tensor, x_hat: Tensor, brain: Tensor, sign: str) -> Tensor:
    """x - x_hat in the brain where it is above zero ("positive"), or its absolute value ("absolute").

    Raises
    ------
    InputError
        Another sign.
    """
    return _signed(x - x_hat, sign) * brain


def _signed(values: Tensor, sign: str) -> Tensor:
    if sign == "positive":
        return values.clamp(min=0)
    if sign == "absolute":
        return values.abs()
    msg = f"Wanted a sign that is 'positive' or 'absolute', found {sign!r}. Give one of the two."
    raise InputError(msg)


@torch.no_grad()
def residual_scores(
    network: nn.Module,
    x: Tensor,
    brain: Tensor,
    batch: int,
    sign: str = "positive",
    n_mc: int = 0,
    seed: int = 0,
    normalise_by_std: bool = False,
) -> tuple[Tensor, Tensor]:
    """Distance of the image from its reconstruction.

    With `n_mc` the reconstruction is the mean of that many draws of the network's dropout (Baur et al. 2021), each
    draw the same for all slices; `normalise_by_std` divides by the draws' standard deviation plus 0.01.

    Raises
    ------
    InputError
        `normalise_by_std` with fewer than two draws.
    """
    if normalise_by_std and n_mc < 2:
        msg = f"Wanted 2 draws or more (n_mc) for a standard deviation, found {n_mc}. Give n_mc=20."
        raise InputError(msg)
    if n_mc == 0:
        x_hat, std = _reconstructed(network, x, batch), None
    else:
        x_hat, std = _drawn(network, x, batch, n_mc, seed)
    score = difference(x, x_hat, brain, sign)
    if normalise_by_std and std is not None:
        score = score / (std + STD_FLOOR)
    return score, x_hat * brain


def _reconstructed(network: nn.Module, x: Tensor, batch: int) -> Tensor:
    return torch.cat([network(chunk).x_hat.float() for chunk in x.split(batch)])


def _drawn(network: nn.Module, x: Tensor, batch: int, n_mc: int, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over draws, by Welford's recurrence: no draw but the last one is kept."""
    generator = torch.Generator().manual_seed(seed)
    mean, squares = torch.zeros_like(x), torch.zeros_like(x)
    for number in range(1, n_mc + 1):
        with drawn_masks(network, generator):
            draw = _reconstructed(network, x, batch)
        step = draw - mean
        mean += step / number
        squares += step * (draw - mean)
    return mean, (squares / n_mc).sqrt()


@torch.inference_mode(False)
def gradient_scores(
    network: nn.Module, x: Tensor, brain: Tensor, batch: int, options: Gradient, sign: str = "absolute"
) -> tuple[Tensor, Tensor]:
    """What would make the slice more likely (Zimmerer et al. 2019): the loss's gradient towards the image.

    `sign` "positive" keeps what asks for a darker image: x above x_hat, and in "kl", "rec" and "elbo" a gradient above
    zero. "combi" and "add" weigh the error by the gradient's size, whatever its direction (the paper's maps).

    Raises
    ------
    InputError
        Unknown kind, reconstruction or sign.
    ModelError
        The network has no log_sigma, hence no KL.
    """
    if options.kind not in KINDS:
        msg = f"Wanted a kind of gradient score out of {', '.join(KINDS)}, found {options.kind!r}. Give one of them."
        raise InputError(msg)
    check_reconstruction(options.reconstruction)
    term = options.kind if options.kind in ("rec", "elbo") else "kl"
    found = [_term_gradient(network, chunk, term, options) for chunk in x.split(batch)]
    inside = brain > 0
    direction = "absolute" if options.kind in ("combi", "add") else sign
    gradient = _signed(torch.cat([part[0] for part in found]), direction) * brain
    x_hat = torch.cat([part[1] for part in found])
    return KINDS[options.kind](gradient, _error(x, x_hat, brain, sign, options), inside, options) * brain, x_hat * brain


def check_reconstruction(name: str) -> None:
    """Refuse a reconstruction term that is neither "l1" nor "l2"."""
    if name not in ("l1", "l2"):
        msg = f"Wanted a reconstruction 'l1' or 'l2', found {name!r}. Give one of the two."
        raise InputError(msg)


def _term_gradient(network: Any, x: Tensor, term: str, options: Gradient) -> tuple[Tensor, Tensor]:
    """Gradient of one term, summed over pixels and slices (each slice's term is its own), and x_hat."""
    with torch.enable_grad():
        given = x.clone().requires_grad_()
        mu, log_sigma = network.encode(given)
        if log_sigma is None:
            msg = "Wanted a variational network for gradient scores, found one without log_sigma. Give a vae model."
            raise ModelError(msg)
        with torch.set_grad_enabled(term != "kl"):
            x_hat = network.decode(mu)
    residual = x - x_hat.detach()
    pull = residual if options.reconstruction == "l2" else residual.sign()
    of_rec = ([x_hat], [-pull])
    of_kl = ([mu, log_sigma], list(kl_slopes(mu.detach(), log_sigma.detach())))
    if term == "kl":
        return through(of_kl[0], given, of_kl[1]), x_hat.detach()
    if term == "rec":
        return pull + through(of_rec[0], given, of_rec[1]), x_hat.detach()
    weights = of_rec[1] + [options.kl_weight * part for part in of_kl[1]]
    return pull + through(of_rec[0] + of_kl[0], given, weights), x_hat.detach()


def through(results: list[Tensor], given: Tensor, weights: list[Tensor]) -> Tensor:
    """Sum of `weights` times the results' derivatives towards `given`; results that do not depend on it give zero."""
    pairs = [(result, weight) for result, weight in zip(results, weights, strict=True) if result.requires_grad]
    if not pairs:
        return torch.zeros_like(given)
    return torch.autograd.grad([pair[0] for pair in pairs], given, [pair[1] for pair in pairs])[0]


def kl_slopes(mu: Tensor, log_sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of 0.5 * sum(mu^2 + sigma^2 - 2 log_sigma - 1) towards mu and log_sigma."""
    return mu, torch.exp(2 * log_sigma) - 1


def _error(x: Tensor, x_hat: Tensor, brain: Tensor, sign: str, options: Gradient) -> Tensor:
    error = difference(x, x_hat, brain, sign)
    return error if options.reconstruction == "l1" else 0.5 * error**2


def _to_unit(values: Tensor, inside: Tensor) -> Tensor:
    """Values of the volume's brain brought to [0, 1]; all the same becomes zero."""
    lowest, highest = values[inside].min(), values[inside].max()
    return (values - lowest) / (highest - lowest) if highest > lowest else torch.zeros_like(values)


def smooth(images: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of slices (n, 1, S, S); `sigma` in pixels of a slice of 128, the kernel ends at 7/6 of it."""
    scale = images.shape[-1] / 128
    radius = round(7 / 6 * sigma * scale)
    if radius == 0:
        return images
    distance = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    line = torch.exp(-0.5 * (distance / (sigma * scale)) ** 2)
    line = line / line.sum()
    down = functional.conv2d(images, line.view(1, 1, -1, 1), padding=(radius, 0))
    return functional.conv2d(down, line.view(1, 1, 1, -1), padding=(0, radius))


def _alone(gradient: Tensor, error: Tensor, inside: Tensor, options: Gradient) -> Tensor:
    return gradient


def _combi(gradient: Tensor, error: Tensor, inside: Tensor, options: Gradient) -> Tensor:
    return smooth(_to_unit(gradient, inside) * inside, options.sigma) * error


def _add(gradient: Tensor, error: Tensor, inside: Tensor, options: Gradient) -> Tensor:
    return _to_unit(gradient, inside) + _to_unit(error, inside)


KINDS: dict[str, Callable[[Tensor, Tensor, Tensor, Gradient], Tensor]] = {
    "kl": _alone,
    "rec": _alone,
    "elbo": _alone,
    "combi": _combi,
    "add": _add,
}
