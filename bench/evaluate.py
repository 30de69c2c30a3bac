"""Evaluation by the published recipe and by flairline on the same volumes, one process each.

The recipe, after the paper's text and the facts of its published code (Meissen et al. 2021): scikit-image equalize_hist
on integers, the slices of all scans in one array, scikit-learn's roc_auc_score and precision_recall_curve, 100
thresholds, and regionprops' filled area for the component filter at the best one. It holds all scans in memory, so it
runs on as many as `--scans-recipe` says; flairline runs on 10 and on 200.

    python -m bench.evaluate [--quick]

ends with one JSON line: ratio is the recipe's seconds a scan over flairline's. `--quick` runs the same on a few small
volumes, in seconds: its figures say that it runs, not how fast.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sizes:
    """Shape of the volumes, slices that are judged, phantoms that they are made of and their voxel side."""

    shape: tuple[int, int, int] = (128, 128, 155)
    first: int = 15
    last: int = 125
    n_distinct: int = 4
    spacing_mm: float = 2.0

    @property
    def slices(self) -> slice:
        """The judged slices."""
        return slice(self.first, self.last)


QUICK = Sizes((32, 32, 39), 4, 31, 1, 4.0)


def volumes(n_scans: int, sizes: Sizes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`n_scans` FLAIR-like volumes (x, y, z) of integers with their lesions, made one at a time from few phantoms."""
    made = [_volume(seed, sizes) for seed in range(sizes.n_distinct)]
    for number in range(n_scans):
        flair, truth = made[number % sizes.n_distinct]
        shift = number // sizes.n_distinct
        yield np.roll(flair, shift, axis=0), np.roll(truth, shift, axis=0)


def _volume(seed: int, sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    from flairline.imaging.resample import resample_mask, resample_volume
    from flairline.synthesis.phantom import phantom
    from flairline.types import Space

    scan, truth, _ = phantom(seed, sizes.spacing_mm)
    # The in-plane size and the slices of experiment I, over the phantom's own field of view.
    scale = np.diag([*(np.array(scan.space.shape) / sizes.shape), 1.0])
    grid = Space(sizes.shape, scan.space.vox_to_ras @ scale)
    flair = np.rint(resample_volume(scan.flair, grid).array).clip(0).astype(np.int32)
    return flair * resample_mask(scan.brain, grid).array, resample_mask(truth, grid).array


def recipe(n_scans: int, sizes: Sizes) -> dict[str, Any]:
    """The published recipe."""
    from skimage.exposure import equalize_hist

    data = list(volumes(n_scans, sizes))
    started = time.perf_counter()
    scores, truths = [], []
    for flair, truth in data:
        equalised = equalize_hist(flair, mask=flair > 0) * (flair > 0)
        scores.append(equalised[:, :, sizes.slices])
        truths.append(truth[:, :, sizes.slices])
    figures = as_published(np.stack(scores).astype(np.float32), np.stack(truths))
    return {"seconds": time.perf_counter() - started, **figures}


def bool_dice(marked: np.ndarray, truths: np.ndarray) -> float:
    """Dice of two boolean arrays."""
    return 2 * np.sum(marked & truths) / (np.sum(marked) + np.sum(truths))


def as_published(
    all_scores: np.ndarray, all_truths: np.ndarray, dice_of: Callable[[np.ndarray, np.ndarray], float] = bool_dice
) -> dict[str, Any]:
    """The figures as the published code finds them, from all scans (scan, x, y, z) at once."""
    from skimage.measure import label, regionprops
    from sklearn.metrics import auc, precision_recall_curve, roc_auc_score

    auroc = roc_auc_score(all_truths.ravel(), all_scores.ravel())
    precision, recall, _ = precision_recall_curve(all_truths.ravel(), all_scores.ravel())
    thresholds = np.linspace(all_scores.min(), all_scores.max(), 100)
    dices = [dice_of(all_scores > threshold, all_truths) for threshold in thresholds]
    best = int(np.argmax(dices))
    filtered = []
    for marked in all_scores > thresholds[best]:
        regions = label(marked, connectivity=3)
        for region in regionprops(regions):
            if region.area_filled <= 20:
                regions[regions == region.label] = 0
        filtered.append(regions > 0)
    kept = np.stack(filtered)
    dice = dice_of(kept, all_truths)
    return {"dice_oracle": dice, "auprc": auc(recall, precision), "auroc": auroc}


def ours(n_scans: int, sizes: Sizes) -> dict[str, Any]:
    """flairline: the same figures, with bootstrap replicates, a scan at a time."""
    from flairline import registry
    from flairline.benchmarking import store
    from flairline.evaluation.counts import Counts
    from flairline.evaluation.judged_scan import JudgedScan
    from flairline.imaging.equalise import empirical_cdf

    def judged(flair: np.ndarray, truth: np.ndarray) -> JudgedScan:
        brain, cut = flair > 0, sizes.slices
        score = np.zeros(flair.shape, np.float32)
        score[brain] = empirical_cdf(flair[brain].astype(np.float32))
        return JudgedScan.from_arrays(score[:, :, cut], truth[:, :, cut], brain[:, :, cut], False)

    _warm_up()
    seconds, counts = 0.0, Counts.empty()
    with tempfile.TemporaryDirectory() as work:
        paths = [Path(work) / f"{number}.npz" for number in range(n_scans)]
        for path, (flair, truth) in zip(paths, volumes(n_scans, sizes), strict=True):
            started = time.perf_counter()
            scored = judged(flair, truth)
            store.write(path, scored, truth[:, :, sizes.slices], None, (1.0, 1.0, 1.0))
            counts.update(scored, path.name, 1)
            seconds += time.perf_counter() - started
        started = time.perf_counter()
        counts.tried = Counts.at_thresholds(np.linspace(counts.minimum, counts.maximum, 100))
        for path in paths:
            counts.tried.update(store.read(path).scan, path.name, 21)
        seconds += time.perf_counter() - started
    figures = {name: registry.load("metrics", name)(counts=counts) for name in ("dice_oracle", "auprc", "auroc")}
    return {"seconds": seconds, **figures}


def _warm_up() -> None:
    """Let numba compile: a cost of the first run on a machine, not of a scan."""
    from flairline.evaluation.counts import Counts
    from flairline.evaluation.judged_scan import JudgedScan

    rng = np.random.default_rng(0)
    score = rng.random((8, 9, 10), dtype=np.float32)
    tiny = JudgedScan.from_arrays(score, score > 0.9, score > 0.1, False)
    for counts in (Counts.empty(), Counts.at_thresholds(np.linspace(0, 1, 5))):
        counts.update(tiny, "nobody")


def in_own_process(function: Callable[[int], dict[str, Any]], n_scans: int) -> dict[str, Any]:
    """Result of `function`, with the peak memory of a process that did nothing else."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (function, n_scans))


def _measured(function: Callable[[int], dict[str, Any]], n_scans: int) -> dict[str, Any]:
    result = function(n_scans)
    return {**result, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans-recipe", type=int, default=10)
    parser.add_argument("--scans-few", type=int, default=10)
    parser.add_argument("--scans-many", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="two small scans each: does it run?")
    given = parser.parse_args(arguments)
    if given.quick:
        given.scans_recipe = given.scans_few = given.scans_many = 2
    sizes = QUICK if given.quick else Sizes()
    published = in_own_process(partial(recipe, sizes=sizes), given.scans_recipe)
    print(f"published recipe, {given.scans_recipe} scans: {published}")
    few = in_own_process(partial(ours, sizes=sizes), given.scans_few)
    print(f"flairline, {given.scans_few} scans: {few}")
    many = in_own_process(partial(ours, sizes=sizes), given.scans_many)
    print(f"flairline, {given.scans_many} scans: {many}")
    per_scan = published["seconds"] / given.scans_recipe, few["seconds"] / given.scans_few
    print(
        json.dumps(
            {
                "ratio": round(per_scan[0] / per_scan[1], 2),
                "peak_mb_10": round(few["peak_mb"], 1),
                "peak_mb_200": round(many["peak_mb"], 1),
                "peak_mb_recipe": round(published["peak_mb"], 1),
                "seconds_a_scan": round(per_scan[1], 3),
                "seconds_a_scan_recipe": round(per_scan[0], 3),
            }
        )
    )


if __name__ == "__main__":
    main()
