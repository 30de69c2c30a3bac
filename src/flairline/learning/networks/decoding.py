"""Several transformers of one size as one that remembers what it has read: a token costs one step, not a prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from monai.networks.nets import DecoderOnlyTransformer
from torch import Tensor
from torch.nn import functional

Affine = tuple[Tensor, Tensor]
"""Weights (k, in, out) and biases (k, 1, out) of k linear layers, or both (k, width) of k layer norms."""

FEW = 16
"""For so few tokens at once torch's attention kernel takes longer than plain products."""


@dataclass
class _Layer:
    first: Affine
    qkv: Tensor
    out: Affine
    second: Affine
    widen: Affine
    narrow: Affine


class Reader:
    """k of MONAI's `DecoderOnlyTransformer` side by side, each reading n sequences token by token.

    It gives what the transformers give, layer for layer; keys and values of what was read are kept, 2 * k * n * depth *
    length * width numbers.
    """

    def __init__(self, transformers: Sequence[DecoderOnlyTransformer]) -> None:
        first = transformers[0]
        self.heads, self.length = first.attn_layers_heads, first.max_seq_len
        self.tokens = torch.stack([part.token_embeddings.weight for part in transformers])
        self.places = torch.stack([part.position_embeddings.embedding.weight for part in transformers])
        self.logits = _stacked([part.to_logits for part in transformers])
        blocks = zip(*(part.blocks for part in transformers), strict=True)
        self.layers = [
            _Layer(
                _stacked_norms([block.norm1 for block in row]),
                torch.stack([block.attn.qkv.weight.mT for block in row]),
                _stacked([block.attn.out_proj for block in row]),
                _stacked_norms([block.norm2 for block in row]),
                _stacked([block.mlp.linear1 for block in row]),
                _stacked([block.mlp.linear2 for block in row]),
            )
            for row in blocks
        ]
        self.read, self.kept = 0, list[tuple[Tensor, Tensor]]()

    def begin(self, n_sequences: int) -> None:
        """Forget what was read; `n_sequences` new ones begin for each transformer."""
        k, width = self.tokens.shape[0], self.tokens.shape[2]
        shape = (k, n_sequences, self.heads, self.length, width // self.heads)
        self.read = 0
        self.kept = [(self.tokens.new_empty(shape), self.tokens.new_empty(shape)) for _ in self.layers]

    def go_on(self, tokens: Tensor) -> Tensor:
        """Read the next tokens (k, n, m); logits of what follows the last one, (k, n, numbers of tokens)."""
        k, _, m = tokens.shape
        place = slice(self.read, self.read + m)
        chosen = self.tokens[torch.arange(k, device=tokens.device)[:, None, None], tokens]
        x = chosen + self.places[:, None, place]
        for layer, kept in zip(self.layers, self.kept, strict=True):
            x = x + self._attend(layer, kept, _normed(x, layer.first), place)
            inner = functional.gelu(_linear(_normed(x, layer.second), layer.widen))
            x = x + _linear(inner, layer.narrow)
        self.read += m
        return _linear(x[:, :, -1:], self.logits)[:, :, 0]

    def _attend(self, layer: _Layer, kept: tuple[Tensor, Tensor], x: Tensor, place: slice) -> Tensor:
        k, n, m, _ = x.shape
        q, *new = (
            part.unflatten(-1, (self.heads, -1)).transpose(2, 3)
            for part in _linear(x, (layer.qkv, layer.qkv.new_zeros(1))).chunk(3, dim=-1)
        )
        for memory, values in zip(kept, new, strict=True):
            memory[:, :, :, place] = values
        keys, values = (memory[:, :, :, : place.stop].flatten(0, 1) for memory in kept)
        before = None
        if m > 1:
            before = torch.ones(m, place.stop, dtype=torch.bool, device=x.device).tril(place.start)
        q = q.flatten(0, 1)
        if m > FEW:
            found = functional.scaled_dot_product_attention(q, keys, values, before)
        else:
            apart = q @ keys.mT * q.shape[-1] ** -0.5
            apart = apart if before is None else apart.masked_fill(~before, -torch.inf)
            found = apart.softmax(dim=-1) @ values
        return _linear(found.unflatten(0, (k, n)).transpose(2, 3).flatten(3), layer.out)


def _stacked(layers: Sequence[Any]) -> Affine:
    """Of linear layers, as products take them."""
    return torch.stack([layer.weight.mT for layer in layers]), torch.stack([layer.bias for layer in layers])[:, None]


def _stacked_norms(layers: Sequence[Any]) -> Affine:
    """Weights and biases (k, width) of layer norms."""
    return torch.stack([layer.weight for layer in layers]), torch.stack([layer.bias for layer in layers])


def _linear(x: Tensor, layer: Affine) -> Tensor:
    weight, bias = layer
    k, n, m, _ = x.shape
    return (torch.bmm(x.flatten(1, 2), weight) + bias).view(k, n, m, -1)


def _normed(x: Tensor, layer: Affine) -> Tensor:
    weight, bias = layer
    return functional.layer_norm(x, x.shape[-1:]) * weight[:, None, None] + bias[:, None, None]
