"""Drawing a transformer's unlikely tokens anew: all slices and orderings together against a loop, in one run.

Both draw the same tokens of the same slices of a phantom, by the same noise, with the same seeded transformers. The
loop goes slice by slice and ordering by ordering, and MONAI's transformer reads the whole prefix anew for each token,
as it has no memory of what it read. The other reads all slices and orderings at once and keeps what it read
(`learning/networks/decoding.py`); a sequence's first token it takes from the pass that told which are unlikely, which
comes before both and is not timed. The two alternate, so that what else the machine does hits both.

    python -m bench.resampling [--slices 32] [--share 0.1] [--preset small] [--quick]

`--share` of the cells with brain are drawn anew. What is gained grows with it, as the loop reads a prefix for each
token, and with the slices, as all go together. Also timed is the loop with that memory, one slice and ordering after
the other, which tells what the batch alone gains. Ends with one JSON line: ratio is the seconds of the loop over those
of all together, at equal tokens. `--quick` runs the same with the preset `test`, in seconds: its times say nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

from bench.restoration import slices


def looped(model: Any, sequences: Any, unlikely: Any, noise: Any, known: Any) -> Any:
    """Slice by slice, ordering by ordering, token by token, the prefix read anew each time."""
    import torch

    result, codes = sequences.clone(), model.sizes.codes
    for number in range(result.shape[0]):
        for sequence, places in zip(result[number], unlikely[number], strict=True):
            for place in torch.nonzero(places)[:, 0].tolist():
                given = model.begun(sequence[None, : place + 1])
                logits = model.transformers[number](given)[0, -1, :codes]
                sequence[place] = (logits + noise[number, place]).argmax()
    return result


def remembered(model: Any, sequences: Any, unlikely: Any, noise: Any, known: Any) -> Any:
    """Slice by slice, ordering by ordering, each with the memory of what was read."""
    import torch

    from flairline.learning.networks.decoding import Reader
    from flairline.learning.slices.token_scorers import resampled

    result = sequences.clone()
    for number, transformer in enumerate(model.transformers):
        reader, part = Reader([transformer]), slice(number, number + 1)
        for n in range(result.shape[1]):
            here = (part, slice(n, n + 1))
            result[here] = resampled(reader, sequences[here], unlikely[here], noise[part], known[here], "sequential")
    return torch.as_tensor(result)


def together(model: Any, sequences: Any, unlikely: Any, noise: Any, known: Any) -> Any:
    """As `vqvae_transformer` does it."""
    from flairline.learning.networks.decoding import Reader
    from flairline.learning.slices.token_scorers import resampled

    return resampled(Reader(list(model.transformers)), sequences, unlikely, noise, known, "sequential")


def main() -> None:
    """Run all in turn and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=32)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="small transformers and few slices, for seconds")
    given = parser.parse_args()
    if given.quick:
        given.slices, given.preset, given.rounds, given.share = 2, "test", 1, 0.1
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is loaded; spinning harms a shared machine
    import torch
    from torch.nn.functional import adaptive_max_pool2d

    from flairline.learning.slices.token_scorers import gumbel
    from flairline.methods.vqvae_transformer import Method

    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = Method().network(Method().architecture(given.preset)).eval().requires_grad_(False)
    images, brain = slices(given.slices, model.sizes.size)
    sequences = model.in_order(model.tokens(images))
    inside = adaptive_max_pool2d(brain, model.sizes.side).flatten(1) > 0
    chance = torch.rand(sequences.shape, generator=torch.Generator().manual_seed(1))
    unlikely = (chance < given.share) & model.in_order(inside)
    known = torch.stack([model.log_shares(number, part) for number, part in enumerate(sequences)])
    ways: dict[str, Callable[..., Any]] = {"together": together, "loop": looped, "loop_with_memory": remembered}
    seconds = dict.fromkeys(ways, 0.0)
    for turn in range(given.rounds):
        found = {}
        for name, draw in ways.items():
            started = time.perf_counter()
            found[name] = draw(model, sequences, unlikely, gumbel(model, turn), known)
            seconds[name] += (time.perf_counter() - started) / given.rounds
        differing = max(int((tokens != found["loop"]).sum()) for tokens in found.values())
        if differing:
            msg = f"Wanted the same tokens from all, found {differing} that differ: they do not draw the same."
            raise SystemExit(msg)
        print(f"round {turn}: " + ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()))
    print(
        json.dumps(
            {
                "ratio": round(seconds["loop"] / seconds["together"], 2),
                "ratio_of_the_batch_alone": round(seconds["loop_with_memory"] / seconds["together"], 2),
                **{f"seconds_{name}": round(value, 3) for name, value in seconds.items()},
                "drawn_anew": int(unlikely.sum()),
                "cells": sequences.shape[2],
                "orderings": sequences.shape[0],
                "slices": given.slices,
                "differing_tokens": 0,
            }
        )
    )


if __name__ == "__main__":
    main()
