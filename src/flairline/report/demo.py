"""The whole way on phantoms made on the spot: scans, masks, pages, figures against the known truth, pictures."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flairline import executor, recipes
from flairline import segmentation as segment
from flairline.benchmarking.judge import judge
from flairline.benchmarking.rows import Row, write_rows
from flairline.benchmarking.source import RecipeSource
from flairline.datasets.phantom import Dataset
from flairline.drawing.overlay import write_overlay
from flairline.errors import FlairlineError
from flairline.evaluation import protocols
from flairline.io.nifti import read_mask, read_volume
from flairline.preprocess.read import read_scan
from flairline.report.collect import write_cohort
from flairline.report.scan_page import write_page
from flairline.synthesis.phantom import KINDS
from flairline.types import Case, Progress

BASELINE, PROTOCOL = "brightest", "sound"
"""The paper's method with a threshold that needs no labels, and how it is judged."""


@dataclass(frozen=True)
class Shown:
    """What the demo shows.

    Attributes
    ----------
    rows
        Of the benchmark, of the best that is installed and of the paper's baseline.
    found_by_kind
        Kind of lesion, how many there are, how many the best one found.
    cohort
        The page of all scans.
    pages, pictures
        Of each scan.
    recipe, why
        What segmented, and why that was taken.
    """

    rows: list[Row]
    found_by_kind: list[list[str]]
    cohort: Path
    pages: list[Path]
    pictures: list[Path]
    recipe: str
    why: str


def run(out: Path, patients: int, spacing_mm: float, seed: int, progress: Progress) -> Shown:
    """Make phantoms in OUT/scans, segment them into OUT/results, judge them into OUT/benchmark, draw OUT/*.png.

    What segments is the best that can run here; the paper's baseline is judged beside it.

    Raises
    ------
    FlairlineError
        OUT cannot be written to.
    """
    progress("making phantoms", 0, patients)
    cases = Dataset(out / "scans", subjects=patients, spacing_mm=spacing_mm, seed=seed).cases()
    settings = segment.Settings(recipes.DEFAULT, overwrite=True)
    done = []
    for outcome in segment.run(cases, out / "results", settings, after=partial(write_page, index="../index.html")):
        done.append(_result(outcome))
        progress("segmenting", len(done), patients)
    write_cohort(out / "results")
    work, protocol = out / "benchmark" / "work", protocols.load(PROTOCOL)
    rows: list[Row] = []
    for name in (recipes.DEFAULT, BASELINE):
        source = RecipeSource(recipes.load(name))
        rows += judge(cases, source, protocol, work, seed=seed, progress=progress).rows
    write_rows(out / "benchmark" / "rows.csv", rows)
    shutil.rmtree(work)
    pictures = []
    for case, segmented in zip(cases, done, strict=True):
        pictures.append(_draw(out / f"{case.subject}.png", case, segmented.folder, segmented.summary.note or ""))
        progress("drawing", len(pictures), patients)
    pages = [segmented.folder / "report.html" for segmented in done]
    first = done[0].summary
    found = _found_by_kind(cases, done)
    return Shown(rows, found, out / "results" / "index.html", pages, pictures, first.method or "", first.why or "")


def _result(outcome: executor.Outcome[Case, segment.Done]) -> segment.Done:
    if outcome.result is None:
        raise FlairlineError(outcome.error or "a phantom could not be segmented")
    return outcome.result


def _draw(path: Path, case: Case, folder: Path, note: str) -> Path:
    scan = read_scan(case).scan
    score, mask = read_volume(folder / "score.nii.gz"), read_mask(folder / "mask.nii.gz")
    truth = read_mask(case.truth) if case.truth else None
    title = ", ".join(part for part in (case.subject, note) if part)
    write_overlay(path, scan, score, mask, truth, title)
    return path


def _found_by_kind(cases: Sequence[Case], done: Sequence[segment.Done]) -> list[list[str]]:
    """Kind, how many lesions of it there are, and how many share a voxel with the mask."""
    drawn: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    for case, segmented in zip(cases, done, strict=True):
        mask = read_mask(segmented.folder / "mask.nii.gz").array
        labels = np.rint(read_volume(case.extra["lesions"]).array).astype(int)
        touched = set(np.unique(labels[mask]).tolist())
        for number, kind in enumerate(case.extra["kinds"].split(), start=1):
            drawn[kind] += 1
            hit[kind] += number in touched
    return [[kind, str(drawn[kind]), str(hit[kind])] for kind in KINDS if drawn[kind]]
