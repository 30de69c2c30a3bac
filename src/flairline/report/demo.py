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
from flairline.preprocess.assemble import assemble
from flairline.report.collect import write_cohort
from flairline.report.scan_page import write_page
from flairline.synthesis.phantom import KINDS
from flairline.types import Case, Progress

RECIPE, PROTOCOL = "brightest", "sound"


@dataclass(frozen=True)
class Shown:
    """What the demo shows: rows of the benchmark, lesions found by kind, pictures and pages, what to mind."""

    rows: list[Row]
    found_by_kind: list[list[str]]
    pictures: list[Path]
    pages: list[Path]
    recipe: str
    note: str


def run(out: Path, patients: int, spacing_mm: float, seed: int, progress: Progress) -> Shown:
    """Make phantoms in OUT/scans, segment them into OUT/results, judge them into OUT/benchmark, draw OUT/*.png.

    Raises
    ------
    FlairlineError
        OUT cannot be written to.
    """
    progress("making phantoms", 0, patients)
    cases = Dataset(out / "scans", subjects=patients, spacing_mm=spacing_mm, seed=seed).cases()
    settings = segment.Settings(RECIPE, overwrite=True)
    done = []
    for outcome in segment.run(cases, out / "results", settings, after=partial(write_page, index="../index.html")):
        done.append(_result(outcome))
        progress("segmenting", len(done), patients)
    write_cohort(out / "results")
    work, protocol = out / "benchmark" / "work", protocols.load(PROTOCOL)
    result = judge(cases, RecipeSource(recipes.load(RECIPE)), protocol, work, seed=seed, progress=progress)
    write_rows(out / "benchmark" / "rows.csv", result.rows)
    shutil.rmtree(work)
    pictures = []
    for case, segmented in zip(cases, done, strict=True):
        pictures.append(_draw(out / f"{case.subject}.png", case, segmented.folder, segmented.summary.note or ""))
        progress("drawing", len(pictures), patients)
    pages = [segmented.folder / "report.html" for segmented in done]
    return Shown(
        result.rows,
        _found_by_kind(cases, done),
        pictures,
        pages,
        done[0].summary.recipe or "",
        done[0].summary.note or "",
    )


def _result(outcome: executor.Outcome[Case, segment.Done]) -> segment.Done:
    if outcome.result is None:
        raise FlairlineError(outcome.error or "a phantom could not be segmented")
    return outcome.result


def _draw(path: Path, case: Case, folder: Path, note: str) -> Path:
    scan = assemble(case).scan
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
