"""A slice as a grid of tokens (VQ-VAE), and transformers that know which token comes next (Pinaya et al. 2021).

All parts are MONAI's: `VQVAE`, `DecoderOnlyTransformer`, `Ordering`. Each transformer reads the grid in an order of its
own. The token before the first has the number of codes as its own number; it is never predicted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from monai.networks.nets import VQVAE, DecoderOnlyTransformer
from monai.utils import OrderingType
from monai.utils.ordering import Ordering
from torch import Tensor, nn

from flairline.learning.networks.autoencoders import Output

MOST_ORDERINGS = 8
QUANTILES = 1001
"""Of the log-probability of healthy tokens, evenly spaced from 0 to 1."""


@dataclass(frozen=True)
class TokenSizes:
    """The sizes of both networks.

    Attributes
    ----------
    size
        Side of the slices in pixels.
    channels
        Of each strided convolution of the VQ-VAE; each halves the side.
    residuals
        Residual units after each of them (the paper has three after the last, MONAI's network has them after each).
    codes, code_size
        Entries of the codebook, and the numbers that one has.
    width, depth, heads
        Of each transformer.
    orderings
        Transformers, from 1 to 8: raster scans of the grid, reflected and transposed.
    """

    size: int = 128
    channels: tuple[int, ...] = (16, 32, 64)
    residuals: int = 1
    codes: int = 32
    code_size: int = 32
    width: int = 128
    depth: int = 4
    heads: int = 4
    orderings: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # JSON has lists
        if self.size % 2 ** len(self.channels) or not 1 <= self.orderings <= MOST_ORDERINGS:
            msg = f"no tokens of {self.size} pixels, halved {len(self.channels)} times, in {self.orderings} orderings"
            raise ValueError(msg)

    @property
    def side(self) -> int:
        """Of the grid of tokens."""
        return self.size // 2 ** len(self.channels)


def orderings(side: int, count: int) -> Tensor:
    """Places of the grid in the order in which each transformer reads them, (count, side * side).

    Raster scans: as they are, from the other end, then the other reflections and all of them transposed. None of them
    is drawn at random, so a model folder need not keep them.
    """
    kinds = sorted(product((False, True), repeat=3), key=lambda kind: (kind[0], kind[1] != kind[2]))
    made = [
        Ordering(
            OrderingType.RASTER_SCAN.value,
            2,
            (1, side, side),
            reflected_spatial_dims=(first, second),
            transpositions_axes=((1, 0),) if transposed else None,
        ).get_sequence_ordering()
        for transposed, first, second in kinds[:count]
    ]
    return torch.stack([torch.as_tensor(order.copy()) for order in made])


class TokenModel(nn.Module):
    """The VQ-VAE and one transformer for each ordering.

    Buffers
    -------
    healthy_log_p
        Quantiles of the log-probability of held-out healthy tokens (orderings, QUANTILES), lowest first; zero before
        they are known.
    """

    def __init__(self, sizes: TokenSizes) -> None:
        super().__init__()
        self.sizes = sizes
        levels = len(sizes.channels)
        self.vq = VQVAE(
            2,
            1,
            1,
            channels=sizes.channels,
            num_res_layers=sizes.residuals,
            num_res_channels=sizes.channels,
            downsample_parameters=((2, 4, 1, 1),) * levels,
            upsample_parameters=((2, 4, 1, 1, 0),) * levels,
            num_embeddings=sizes.codes,
            embedding_dim=sizes.code_size,
            decay=0.99,
        )
        self.transformers = nn.ModuleList(_transformer(sizes) for _ in range(sizes.orderings))
        order = orderings(sizes.side, sizes.orderings)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(dim=1), persistent=False)
        self.register_buffer("healthy_log_p", torch.zeros(sizes.orderings, QUANTILES))
        self.order: Tensor
        self.back: Tensor
        self.healthy_log_p: Tensor

    def forward(self, images: Tensor) -> Output:
        """Reconstruct images (n, 1, size, size) through the codebook."""
        return Output(self.vq(images)[0])

    def tokens(self, images: Tensor) -> Tensor:
        """The codes of each cell, (n, side * side), row by row. The codebook does not move, whatever the mode."""
        was_training = self.vq.training
        self.vq.eval()
        with torch.no_grad():
            found = self.vq.index_quantize(images).flatten(1)
        self.vq.train(was_training)
        return found

    def decode(self, tokens: Tensor) -> Tensor:
        """Images (n, 1, size, size) from codes (n, side * side)."""
        return self.vq.decode_samples(tokens.unflatten(1, (self.sizes.side,) * 2))

    def in_order(self, grid: Tensor) -> Tensor:
        """Values by cell (..., side * side) as each transformer reads them, (orderings, ..., side * side)."""
        return torch.stack([grid[..., order] for order in self.order])

    def in_place(self, sequences: Tensor) -> Tensor:
        """The way back: values (orderings, ..., side * side) by cell."""
        return torch.stack([sequence[..., back] for sequence, back in zip(sequences, self.back, strict=True)])

    def begun(self, sequences: Tensor) -> Tensor:
        """What the transformer reads to predict sequences (..., m): the same, one later, after the token of no code."""
        return torch.cat([torch.full_like(sequences[..., :1], self.sizes.codes), sequences[..., :-1]], dim=-1)

    def log_shares(self, number: int, sequences: Tensor) -> Tensor:
        """Log-probability of every code (n, side * side, codes) at each place of sequences, given the tokens before."""
        logits = self.transformers[number](self.begun(sequences))[..., : self.sizes.codes]
        return logits.float().log_softmax(dim=-1)  # log(softmax) underflows to minus infinity

    def log_p(self, number: int, sequences: Tensor) -> Tensor:
        """Log-probability of each token of sequences (n, side * side), given those before it in ordering `number`."""
        return self.log_shares(number, sequences).gather(-1, sequences[..., None])[..., 0]

    def healthy(self, share: float) -> Tensor:
        """The log-probability that this share of healthy tokens does not exceed, (orderings,)."""
        place = min(max(share, 0.0), 1.0) * (QUANTILES - 1)
        low, high = self.healthy_log_p[:, math.floor(place)], self.healthy_log_p[:, math.ceil(place)]
        return low + (high - low) * (place - math.floor(place))


def _transformer(sizes: TokenSizes) -> DecoderOnlyTransformer:
    made = DecoderOnlyTransformer(
        num_tokens=sizes.codes + 1,
        max_seq_len=sizes.side**2,
        attn_layers_dim=sizes.width,
        attn_layers_depth=sizes.depth,
        attn_layers_heads=sizes.heads,
        use_combined_linear=True,
        use_flash_attention=True,
    )
    for block in made.blocks:
        # Not read by this kind of attention, yet kept with the weights: 2.4 MB a layer at 784 tokens.
        block.attn.causal_mask = None  # type: ignore[union-attr]
        block.norm_cross_attn.requires_grad_(False)
    return made
