"""Scores of all slices of one volume by tokens and transformers (Pinaya et al. 2021).

What is drawn hangs on the seed, the ordering and the cell alone, so that neither the batch nor the other slices change
a slice's score.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from flairline.errors import InputError
from flairline.learning.networks.decoding import Reader
from flairline.learning.networks.tokens import QUANTILES, TokenModel
from flairline.learning.slices.options import Resampling
from flairline.learning.slices.scorers import difference, smooth
from flairline.learning.slices.slice_cache import SliceStore

__all__ = ["Resampling", "healthy_log_p", "keep_healthy_log_p", "resampled", "token_scores"]

SCORES, SAMPLERS = ("likelihood", "restoration", "restoration_masked"), ("sequential", "parallel")
MOST_KEPT = 2**29
"""Bytes of keys and values that are kept at once: of so many slices as fit, one at least."""


@torch.no_grad()
def token_scores(
    model: TokenModel, x: Tensor, brain: Tensor, batch: int, options: Resampling, sign: str = "positive", seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Score by `options` and the mean restoration over the orderings, both (n, 1, S, S).

    Parameters
    ----------
    x, brain
        Slices (n, 1, S, S) in [0, 1], and 0/1 of the same shape. Tokens of cells without brain are never drawn anew.
    batch
        Slices that go through the networks at once. Drawing anew takes all slices together, or as many as have keys
        and values of 512 MB.
    sign
        Of residuals, as for every slice method.
    seed
        Of what is drawn.

    Raises
    ------
    InputError
        Unknown score, sampler or sign.
    """
    for value, known in ((options.score, SCORES), (options.sampler, SAMPLERS)):
        if value not in known:
            msg = f"Wanted one of {', '.join(known)}, found {value!r}. Give one of them."
            raise InputError(msg)
    reader = Reader(list(model.transformers))  # type: ignore[arg-type]
    chunks = zip(*(part.split(_at_once(model)) for part in (x, brain)), strict=True)
    found = [_scored(_Models(model, reader, batch), images, brains, options, (sign, seed)) for images, brains in chunks]
    score, restored = (torch.cat(column) for column in zip(*found, strict=True))
    return score * brain, restored * brain


def _at_once(model: TokenModel) -> int:
    sizes = model.sizes
    numbers = 2 * sizes.orderings * sizes.depth * sizes.side**2 * sizes.width
    return max(1, MOST_KEPT // (4 * numbers))


@dataclass(frozen=True)
class _Models:
    """The networks, by `batch` slices at once, and the reader of the same transformers."""

    model: TokenModel
    reader: Reader
    batch: int

    def tokens(self, x: Tensor) -> Tensor:
        return torch.cat([self.model.tokens(chunk) for chunk in x.split(self.batch)])

    def decode(self, tokens: Tensor) -> Tensor:
        return torch.cat([self.model.decode(chunk).float() for chunk in tokens.split(self.batch)])

    def log_shares(self, sequences: Tensor) -> Tensor:
        return torch.stack(
            [
                torch.cat([self.model.log_shares(number, chunk) for chunk in part.split(self.batch)])
                for number, part in enumerate(sequences)
            ]
        )


def _scored(
    models: _Models, x: Tensor, brain: Tensor, options: Resampling, drawn: tuple[str, int]
) -> tuple[Tensor, Tensor]:
    (sign, seed), model = drawn, models.model
    tokens = models.tokens(x)
    sequences = model.in_order(tokens)
    log_shares = models.log_shares(sequences)
    log_p = log_shares.gather(-1, sequences[..., None])[..., 0]
    side = model.sizes.side
    if options.score == "likelihood":
        cells = -model.in_place(log_p).mean(dim=0).unflatten(1, (1, side, side))
        upsampled = functional.interpolate(cells, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return upsampled.clamp(min=0), models.decode(tokens)
    lowest = model.healthy(options.healthy_share)
    if options.threshold is not None:
        lowest = torch.full_like(lowest, math.log(options.threshold))
    inside = functional.adaptive_max_pool2d(brain, side).flatten(1) > 0
    unlikely = (log_p <= lowest[:, None, None]) & model.in_order(inside)
    score, restored = torch.zeros_like(x), torch.zeros_like(x)
    for sample in range(options.samples):
        noise = gumbel(model, seed + sample).to(x.device)
        drawn_anew = resampled(models.reader, sequences, unlikely, noise, log_shares, options.sampler)
        for cells, changed in zip(model.in_place(drawn_anew), model.in_place(unlikely), strict=True):
            x_hat = models.decode(cells)
            residual = difference(x, x_hat, brain, sign)
            if options.score == "restoration_masked":
                mask = changed.float().unflatten(1, (1, side, side))
                mask = functional.interpolate(mask, size=x.shape[-2:], mode="nearest")
                residual = residual * smooth(mask, options.smoothing)
            score, restored = score + residual, restored + x_hat
    count = options.samples * len(sequences)
    return score / count, restored / count


def gumbel(model: TokenModel, seed: int) -> Tensor:
    """Noise (orderings, cells, codes) whose sum with log-probabilities is largest at a code drawn by them."""
    sizes = model.sizes
    shape = (sizes.orderings, sizes.side**2, sizes.codes)
    uniform = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return -torch.log(-torch.log(uniform.clamp(1e-12, 1 - 1e-12))).float()


def resampled(
    reader: Reader, sequences: Tensor, unlikely: Tensor, noise: Tensor, known: Tensor, sampler: str
) -> Tensor:
    """Sequences (orderings, n, cells) with unlikely tokens drawn anew, all slices and orderings together.

    Parameters
    ----------
    unlikely
        Of the sequences' shape: what is drawn anew. All other tokens stay.
    noise
        Of `gumbel`.
    known
        Log-probabilities (orderings, n, cells, codes) given the sequences as they are (`TokenModel.log_shares`). A
        sequence's first unlikely token has only such before it, so it needs nothing to be read anew.
    sampler
        "sequential" or "parallel", as `Resampling` has them.
    """
    at_once = (known + noise[:, None]).argmax(dim=-1)
    if sampler == "parallel":
        return torch.where(unlikely, at_once, sequences)
    first = unlikely & (unlikely.cumsum(dim=2) == 1)
    result, later = torch.where(first, at_once, sequences), unlikely & ~first
    rows = later.any(dim=2).any(dim=0)
    if not rows.any():
        return result
    sequences, later, codes = result[:, rows], later[:, rows], noise.shape[-1]
    reader.begin(int(rows.sum()))
    before = torch.full_like(sequences[..., :1], codes)  # the token of no code, as `TokenModel.begun` has it
    for place in torch.nonzero(later.any(dim=0).any(dim=0))[:, 0].tolist():
        # All that lies between two places is known: it is read in one go.
        given = torch.cat([before, sequences[..., :place]], dim=-1)[..., reader.read :]
        anew = (reader.go_on(given)[..., :codes] + noise[:, place][:, None]).argmax(dim=-1)
        sequences[..., place] = torch.where(later[..., place], anew, sequences[..., place])
    result[:, rows] = sequences
    return result


HELD_SLICES = 128
"""Held-out slices, about, that say how likely healthy tokens are."""


def keep_healthy_log_p(model: TokenModel, held: Sequence[SliceStore]) -> None:
    """Write into the model how likely tokens of held-out healthy slices are."""
    stores = [store for store in held if store.count]
    device = model.healthy_log_p.device
    scans = (tuple(part.to(device) for part in store.tensors(-(-HELD_SLICES // len(stores)))) for store in stores)
    model.healthy_log_p.copy_(healthy_log_p(model, scans))


@torch.no_grad()
def healthy_log_p(model: TokenModel, scans: Iterable[tuple[Tensor, ...]], batch: int = 8) -> Tensor:
    """Quantiles (orderings, QUANTILES) of the log-probability of the tokens in brain of healthy scans' slices."""
    found = []
    for images, brains in scans:
        for x, brain in zip(images.split(batch), brains.split(batch), strict=True):
            sequences = model.in_order(model.tokens(x))
            log_p = torch.stack([model.log_p(number, part) for number, part in enumerate(sequences)])
            inside = functional.adaptive_max_pool2d(brain, model.sizes.side).flatten(1) > 0
            found.append(model.in_place(log_p)[:, inside].cpu())
    values = torch.cat(found, dim=1).double()
    places = torch.linspace(0, values.shape[1] - 1, QUANTILES, dtype=torch.float64).round().long()
    return values.sort(dim=1).values[:, places].float()
