"""Experiment I on a cohort as large as BraTS 2020, and the published recipe on the share of it that memory can hold.

The cohort is made by perturbing the real BraTS-grid scans of FLAIRLINE_DATA: mirrored, shifted by some voxels, another
gamma, noise. Every volume is written to disk, read and deleted again; making it is not timed. flairline runs the whole
benchmark (rows of every scan, bootstrap intervals) on all volumes. On the share both read the same files and find the
same three figures, flairline with the bootstrap's replicates. The recipe (see `bench.evaluate`) holds the share in
memory; as published it held about 0.5 GB a scan.

    FLAIRLINE_DATA=folder python -m bench.cohort [--quick]

ends with one JSON line: ratio is the recipe's seconds a scan over flairline's, both on the share, ratio_cpu the same in
seconds of the processor, which other work on the machine disturbs less. `--quick` runs the same on two volumes, made of
a phantom where there is no FLAIRLINE_DATA: its figures say that it runs, not how fast.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from bench.evaluate import as_published, in_own_process
from flairline.benchmarking.judge import count, judge
from flairline.benchmarking.source import RecipeSource, Scored
from flairline.evaluation.protocols import Protocol, load
from flairline.types import Case

SIDE, SLICES, GRID = 128, slice(15, 125), (240, 240, 155)
FIGURES = ("dice_oracle", "auprc", "auroc")
PHANTOM_FOLDER = "BENCH_COHORT_PHANTOM"
"""Variable that tells the measured processes where the phantom is that stands for real scans."""
making = {"seconds": 0.0, "cpu_seconds": 0.0}
"""Seconds spent on making volumes, which no side is charged with."""


def real_scans() -> list[tuple[Path, Path, Path]]:
    """FLAIR, brain and truth of the real scans on the BraTS grid."""
    folder = Path(os.environ.get("FLAIRLINE_DATA", "")) / "brats2015"
    if not folder.is_dir() and PHANTOM_FOLDER in os.environ:
        folder = Path(os.environ[PHANTOM_FOLDER])
    if not folder.is_dir():
        sys.exit(f"Wanted the real scans in FLAIRLINE_DATA, but {folder} is no folder. Set it and run again.")
    names = ("flair.nii.gz", "brain.nii.gz", "truth.nii.gz")
    return [tuple(patient / name for name in names) for patient in sorted(folder.iterdir())]  # type: ignore[misc]


def make_phantom(folder: Path) -> None:
    """A phantom on the BraTS grid as FOLDER/phantom/{flair,brain,truth}.nii.gz."""
    from flairline.imaging.resample import resample_mask, resample_volume
    from flairline.synthesis.phantom import phantom
    from flairline.types import Space

    scan, truth, _ = phantom(0, 4.0)
    scale = np.diag([*(np.array(scan.space.shape) / GRID), 1.0])
    grid = Space(GRID, scan.space.vox_to_ras @ scale)
    images = {
        "flair": np.rint(resample_volume(scan.flair, grid).array).clip(0).astype(np.int16),
        "brain": resample_mask(scan.brain, grid).array.astype(np.uint8),
        "truth": resample_mask(truth, grid).array.astype(np.uint8),
    }
    (folder / "phantom").mkdir(parents=True)
    for name, image in images.items():
        nib.save(nib.Nifti1Image(image, np.eye(4)), folder / "phantom" / f"{name}.nii.gz")


@contextmanager
def volume(number: int) -> Iterator[tuple[Path, Path]]:
    """FLAIR and truth of the cohort's volume `number` as files, for as long as the block runs."""
    started, cpu = time.perf_counter(), time.process_time()
    sources = real_scans()
    flair, brain, truth = (nib.load(path) for path in sources[number % len(sources)])
    rng = np.random.default_rng(number)
    inside = np.asanyarray(brain.dataobj) > 0.5
    values = np.asanyarray(flair.dataobj)[inside].astype(np.float32)
    low, high = values.min(), np.percentile(values, 99.9)
    values = np.clip((values - low) / (high - low), 0, None) ** rng.uniform(0.8, 1.25)
    values += rng.normal(0, 0.01, values.size)
    image = np.zeros(inside.shape, np.int16)
    image[inside] = np.clip(np.round(1 + values * 10000), 1, 32000)
    labels = np.where(np.asanyarray(truth.dataobj) > 0, 1, 0).astype(np.uint8)
    shift = rng.integers(-4, 5, 2)  # the brain stays inside the volume
    images = [np.roll(array, shift, axis=(0, 1)) for array in (image, labels)]
    if number // len(sources) % 2:
        images = [array[::-1] for array in images]
    with tempfile.TemporaryDirectory() as name:
        paths = Path(name) / f"{number:03d}_flair.nii", Path(name) / f"{number:03d}_seg.nii"
        for path, array in zip(paths, images, strict=True):
            nib.save(nib.Nifti1Image(np.ascontiguousarray(array), flair.affine), path)
        making["seconds"] += time.perf_counter() - started
        making["cpu_seconds"] += time.process_time() - cpu
        yield paths


@dataclass(frozen=True)
class PerturbedSource(RecipeSource):
    """Scores of cases whose files are made when they are needed; `Case.subject` is the volume's number."""

    numbers: Path = Path()

    def inputs(self, case: Case) -> list[Path]:
        """A file that holds the volume's number, so that no volume's score is taken for another's."""
        file = self.numbers / case.subject
        file.write_text(case.subject, encoding="utf-8")
        return [file]

    def make(self, case: Case, protocol: Protocol) -> Scored:
        """As for a recipe, from the volume's files."""
        with volume(int(case.subject)) as (flair, truth):
            return super().make(replace(case, flair=flair, truth=truth), protocol)


def ours(n_scans: int, rows: bool = True) -> dict[str, Any]:
    """flairline's experiment I: with all its rows, or only the three figures that the recipe finds."""
    from flairline import recipes, registry

    making.update(seconds=0.0, cpu_seconds=0.0)
    cases = [Case("cohort", str(number), truth=Path("made")) for number in range(n_scans)]
    with tempfile.TemporaryDirectory() as folder:
        source = PerturbedSource(recipes.load("histeq"), numbers=Path(folder))
        started, cpu = time.perf_counter(), time.process_time()
        work = judge if rows else count
        result = work(cases, source, load("experiment-1"), Path(folder), progress=partial(_say, n_scans))
        counts = result.counts["cohort", "histeq"]
        figures = {name: registry.load("metrics", name)(counts=counts) for name in FIGURES}
        seconds = time.perf_counter() - started - making["seconds"]
        cpu_seconds = time.process_time() - cpu - making["cpu_seconds"]
    if result.failures:
        sys.exit(f"{len(result.failures)} volumes failed: {result.failures[0]}")
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, **figures}


def recipe(n_scans: int) -> dict[str, Any]:
    """The published recipe on the first volumes."""
    from skimage.exposure import equalize_hist

    making.update(seconds=0.0, cpu_seconds=0.0)
    started, cpu = time.perf_counter(), time.process_time()
    scores, truths = [], []
    index = np.arange(SIDE) * 240 // SIDE
    for number in range(n_scans):
        with volume(number) as paths:
            flair, truth = (np.asarray(nib.load(path).dataobj, dtype=np.float32) for path in paths)
        flair, truth = (image[np.ix_(index, index)] for image in (flair.astype(np.int16), truth))
        equalised = equalize_hist(flair, mask=flair > 0) * (flair > 0)
        scores.append(equalised[:, :, SLICES])
        truths.append(truth[:, :, SLICES] > 0.9)
    figures = as_published(np.stack(scores).astype(np.float32), np.stack(truths), float_dice)
    cpu_seconds = time.process_time() - cpu - making["cpu_seconds"]
    return {"seconds": time.perf_counter() - started - making["seconds"], "cpu_seconds": cpu_seconds, **figures}


def float_dice(marked: np.ndarray, truths: np.ndarray) -> float:
    """Dice with the steps of the published code: float masks, a check that both are whole numbers, a dot product."""
    found, wanted = marked.astype(np.float32).ravel(), truths.astype(np.float32).ravel()
    for mask in (found, wanted):
        if (mask - mask.astype(np.int32)).sum() > 0:
            msg = "Dice wants binary masks"
            raise ValueError(msg)
    return float(2 * (found @ wanted) / (found.sum(dtype=np.float64) + wanted.sum(dtype=np.float64)))


def _say(n_scans: int, what: str, done: int, total: int) -> None:
    if done % 50 == 0 and sys.stderr.isatty():
        print(f"{what}: {done} of {total}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=371)
    parser.add_argument("--share", type=int, default=8, help="scans that the recipe gets (it holds them all in memory)")
    parser.add_argument("--quick", action="store_true", help="two volumes: does it run?")
    given = parser.parse_args(arguments)
    if not given.quick:
        measure(given.scans, given.share)
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ[PHANTOM_FOLDER] = folder
        make_phantom(Path(folder))
        measure(2, 2)


def measure(n_scans: int, n_share: int) -> None:
    """All of it, each part in a process of its own."""
    in_own_process(ours, 1)  # numba compiles once on a machine
    published = in_own_process(recipe, n_share)
    print(f"published recipe, {n_share} scans: {published}", flush=True)
    few = in_own_process(partial(ours, rows=False), n_share)
    print(f"flairline, {n_share} scans, the same three figures: {few}", flush=True)
    many = in_own_process(ours, n_scans)
    print(f"flairline, {n_scans} scans, all rows: {many}", flush=True)
    print(
        json.dumps(
            {
                "ratio": round(published["seconds"] / few["seconds"], 2),
                "ratio_cpu": round(published["cpu_seconds"] / few["cpu_seconds"], 2),
                "share": n_share,
                "scans": n_scans,
                "peak_mb": round(many["peak_mb"], 1),
                "peak_mb_recipe": round(published["peak_mb"], 1),
                "seconds_a_scan": round(many["seconds"] / n_scans, 3),
                "seconds_a_scan_on_share": round(few["seconds"] / n_share, 3),
                "seconds_a_scan_recipe": round(published["seconds"] / n_share, 3),
                "dice_on_share": round(few["dice_oracle"], 4),
                "dice_on_share_recipe": round(float(published["dice_oracle"]), 4),
            }
        )
    )


if __name__ == "__main__":
    main()
