"""Restoration of many slices in one batch against a loop over slices, as the published codes restore, in one run.

Both descend the same loss of the same network (`--method`'s, of the paper's size, with seeded weights and batch norm
statistics) on the same slices of a phantom. The loop takes one slice at a time, writes the loss down and lets autograd
take the gradient towards the slice; it uses all cores within a layer. The two alternate, so that what else the machine
does hits both.

    python -m bench.restoration [--method gmvae] [--quick]

times a few steps of many slices, compares all steps of a few, and ends with one JSON line: ratio is the loop's seconds
over the vectorised seconds, at scores that differ by 1e-5 at most. All steps are compared in double precision: in
single precision either rounds by about 1e-5, which is reported beside it. `--quick` runs the same on few small slices
and steps, in seconds: its times say nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from dataclasses import replace
from typing import Any

import numpy as np

LARGEST_DIFFERENCE = 1e-5
SIZE, PIXEL_MM = 128, 1.875


def slices(n_slices: int, size: int) -> tuple[Any, Any]:
    """FLAIR-like slices in [0, 1] and their brains, (n, 1, size, size) each, from the middle of a phantom."""
    import torch

    from flairline.synthesis.phantom import phantom

    scan, _, _ = phantom(0, 2.0 * SIZE / size)
    height = scan.space.shape[2]
    indices = np.linspace(0.3 * height, 0.7 * height, n_slices).astype(int)
    highest = np.percentile(scan.flair.array[scan.brain.array], 98)
    flair = np.clip(scan.flair.array / highest, 0, 1) * scan.brain.array

    def framed(volume: np.ndarray) -> Any:
        rows, columns = (min(side, size) for side in volume.shape[:2])
        frame = np.zeros((n_slices, 1, size, size), np.float32)
        top, left = (size - rows) // 2, (size - columns) // 2
        frame[:, 0, top : top + rows, left : left + columns] = np.moveaxis(volume[:rows, :columns, indices], 2, 0)
        return torch.from_numpy(frame)

    return framed(flair), framed(scan.brain.array)


def network(y: Any, method: Any, preset: str) -> Any:
    """A method's network of a preset's size ("paper": the published), seeded.

    Its batch norms know the slices' statistics, as after training.
    """
    import torch

    torch.manual_seed(0)
    made = method.network(method.architecture(preset))
    with torch.no_grad():
        for _ in range(20):
            made(y[:8])
    return made.eval()


def cost_of_codes(found: Any, method: Any) -> Any:
    """KL of a Gaussian code, or what a mixture's codes cost, of all slices."""
    if found.mu is None:
        from flairline.learning.slices.mixture import mixture_kl

        return mixture_kl(found.latents, method.free_nats).sum()
    sigma = found.log_sigma.exp()
    return 0.5 * (found.mu**2 + sigma**2 - 2 * found.log_sigma - 1).sum()


def slice_by_slice(made: Any, y: Any, brain: Any, options: Any) -> Any:
    """Score of each slice, one after the other."""
    import torch
    from torch.nn.functional import huber_loss

    def absolute_sum(values: Any) -> Any:
        if options.smoothing == 0:
            return values.abs().sum()
        zero = torch.zeros_like(values)
        return huber_loss(values, zero, reduction="sum", delta=options.smoothing) / options.smoothing

    def loss(x: Any, observed: Any) -> Any:
        found, moved = made(x), x - observed
        variation = absolute_sum(moved.diff(dim=2)) + absolute_sum(moved.diff(dim=3))
        cost = absolute_sum(x - found.x_hat) + options.kl_weight * cost_of_codes(found, options)
        return cost + options.tv_weight * variation

    scores = []
    for number in range(len(y)):
        observed, mask = y[number : number + 1], brain[number : number + 1]
        x = observed.clone()
        for step in range(options.steps):
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(x, observed), x)
            x = x.detach() - options.eta_at(step) * mask * gradient.clamp(-options.clip, options.clip)
        scores.append((observed - x).abs() * mask)
    return torch.cat(scores)


def main() -> None:
    """Run both in turn and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="vae_restoration")
    parser.add_argument("--slices", type=int, default=16)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps-a-round", type=int, default=10)
    parser.add_argument("--slices-compared", type=int, default=4, help="compared after all steps")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="few small slices and steps, for seconds")
    given = parser.parse_args()
    size, preset, steps = SIZE, "paper", 150
    if given.quick:
        given.slices, given.batch, given.rounds, given.steps_a_round, given.slices_compared = 3, 2, 1, 2, 2
        size, preset, steps = 32, "test", 5
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is loaded; spinning harms a shared machine
    import torch

    from flairline import registry

    torch.set_num_threads(given.threads)
    y, brain = slices(given.slices, size)
    every = registry.load("methods", given.method)(steps=steps, batch=given.batch, sign="absolute")
    made, few = network(y, every, preset), replace(every, steps=given.steps_a_round)
    both(made, y[:2], brain[:2], few)  # the first run on a machine prepares its kernels
    rounds = []
    for turn in range(given.rounds):
        rounds.append(both(made, y, brain, few))
        print(f"round {turn}: vectorised {rounds[-1][0]:.1f} s, loop {rounds[-1][1]:.1f} s")
    compared = np.linspace(0, given.slices - 1, given.slices_compared).astype(int)
    *_, single = both(made, y[compared], brain[compared], every)
    exact = copy.deepcopy(made).double()
    *_, largest = both(exact, y[compared].double(), brain[compared].double(), every)
    print(
        f"largest difference {largest:.1e} after {every.steps} steps of {given.slices_compared} slices in double"
        f" precision, {single:.1e} in single precision"
    )
    single = max(single, *(differed for *_, differed in rounds))
    if not largest <= LARGEST_DIFFERENCE:
        msg = f"Wanted scores that differ by {LARGEST_DIFFERENCE} at most, found {largest}: the two are not the same."
        raise SystemExit(msg)
    vectorised, loop = (sum(turn[column] for turn in rounds) / given.rounds for column in (0, 1))
    print(
        json.dumps(
            {
                "method": given.method,
                "ratio": round(loop / vectorised, 2),
                "seconds_vectorised": round(vectorised, 2),
                "seconds_loop": round(loop, 2),
                "largest_difference": largest,
                "largest_difference_single": single,
                "slices": given.slices,
                "steps_timed": few.steps,
                "steps_compared": every.steps,
            }
        )
    )


def both(made: Any, y: Any, brain: Any, method: Any) -> tuple[float, float, float]:
    """Seconds of the vectorised restoration and of the loop, and their scores' largest difference."""
    started = time.perf_counter()
    vectorised, _ = method.score_slices(made, y, brain)
    between = time.perf_counter()
    loop = slice_by_slice(made, y, brain, method)
    return between - started, time.perf_counter() - between, float((vectorised - loop).abs().max())


if __name__ == "__main__":
    main()
