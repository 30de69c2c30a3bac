"""The zoo: every method that learns, trained on the same synthetic people and judged on patients whom nobody drew.

    FLAIRLINE_DATA=DIR python -m studies.learned -o OUT --results docs/results

makes 200 people without lesions (and 200 with, for a method that must learn from some, whose truths it is not given),
trains each family for `LONGER` or 4 minutes at the preset `small` (on a GPU `paper`), one after the other, and judges
it on brats2015, mslub and msseg2015 by `sound` and `baur`; what takes minutes a volume on 12 axial slices of each scan,
evenly spaced over its brain, with the lines and the method whose model it reads beside it on the same slices.

RESULTS/data/learned/METHOD.json is written when a method is done, and only what has none is run: the same command goes
on where it stopped. Tables and the figure are drawn from these files (`studies.learned_tables`). `--quick` does all of
it on phantoms in a minute or two.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from flairline import recipes, registry
from flairline.benchmarking import controls
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.rows import COHORT, Row
from flairline.benchmarking.run import run
from flairline.benchmarking.source import RecipeSource
from flairline.cases.people import People, synthesise_people
from flairline.cases.table import CaseTable
from flairline.datasets.bids import Dataset as Bids
from flairline.datasets.phantom import Dataset as Phantoms
from flairline.errors import FlairlineError, MissingExtraError
from flairline.evaluation import protocols
from flairline.imaging.resample import resample_volume
from flairline.io.files import write_text
from flairline.io.nifti import read_space, read_volume, write_volume
from flairline.io.tables import csv_text, read_records
from flairline.learning.model import ModelFolder
from flairline.methods.base import load_method, trainable
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings
from flairline.types import Case
from studies.learned_results import Learned, Score, convergence, write_result
from studies.learned_tables import write_tables

JUDGED = PreprocessSettings().for_judging(None)
FLAIRLINE = str(Path(sys.executable).parent / "flairline")
LINES = ("histeq", *controls.names(), "default")
"""What needs no training here: lines in the figure."""
METRICS = ("dice_oracle", "auprc", "auroc")
PROTOCOLS = ("sound", "baur")
MINUTES = 4.0
LONGER = {"fanogan": 10.0, "anovaegan": 10.0, "constrained_aae": 10.0, "vqvae_transformer": 10.0}
"""Minutes of the families that train two networks against each other, or one after the other."""
FROM_PATIENTS = ("segae",)
"""Families that find lesions only if there are some where they learn; no truth is given to them."""
SLICES = 12
WITH_LESIONS_SEED = 1
"""Of the people with lesions; those without have seed 0."""


@dataclass(frozen=True)
class Zoo:
    """What is trained on what and judged on what.

    Attributes
    ----------
    healthy, patients
        Make and name a table of cases to learn from, when it is asked for; `patients` have lesions, of which the table
        says nothing.
    tables
        Of cases to judge on.
    """

    out: Path
    results: Path
    healthy: Callable[[], Path]
    patients: Callable[[], Path]
    tables: tuple[Path, ...]
    people: int
    preset: str
    minutes: Mapping[str, float] = field(default_factory=lambda: LONGER)
    minutes_otherwise: float = MINUTES
    protocols: tuple[str, ...] = PROTOCOLS
    lines: tuple[str, ...] = LINES
    atlas: str | None = None

    def budget(self, family: str) -> float:
        """Minutes of a family's training."""
        return self.minutes.get(family, self.minutes_otherwise)

    def result(self, method: str) -> Path:
        """The file of a method's result."""
        return self.results / "data" / "learned" / f"{method}.json"


def learning() -> dict[str, str]:
    """Method -> family of all methods that learn from scans."""
    found = {}
    for name in registry.names("methods"):
        try:
            method = trainable(load_method(name)())
        except MissingExtraError:
            continue
        if method is not None and method.info.learns_from == "scans":
            found[name] = method.family
    return found


def when_and_what() -> dict[str, str]:
    """Date of today and short hash of this code."""
    command = ["git", "rev-parse", "--short=7", "HEAD"]
    asked = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return {"date": datetime.now(UTC).date().isoformat(), "commit": asked.stdout.strip() or "0000000"}


def iterative(name: str) -> bool:
    """Whether it takes minutes a scan."""
    return load_method(name).info.iterative


def beside_iterative(families: Mapping[str, str]) -> set[str]:
    """Methods whose models an iterative one reads: they are judged on few slices, too."""
    return {load_method(name).info.reads for name in families if iterative(name)} - {""}


def train(zoo: Zoo, family: str) -> Path:
    """`flairline fit`, if the model is not there yet. Raises `FlairlineError` where it made none."""
    folder = zoo.out / "models" / family
    if (folder / "config.json").exists():
        return folder
    shared, own = zoo.out / "slices", folder / "training" / "slices"
    shared.mkdir(parents=True, exist_ok=True)
    own.parent.mkdir(parents=True, exist_ok=True)
    if not own.is_symlink():  # keyed by content: cut once for all
        own.symlink_to(shared.resolve(), target_is_directory=True)
    table = zoo.patients() if family in FROM_PATIENTS else zoo.healthy()
    budget = ("--max-minutes", str(zoo.budget(family)), "--preset", zoo.preset)
    command = [FLAIRLINE, "fit", family, "--cases", str(table), "-o", str(folder), *budget]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    if not (folder / "config.json").exists():  # some scans left out are no failure of the training
        msg = f"flairline fit {family} made no model; why stands above."
        raise FlairlineError(msg)
    return folder


@dataclass(frozen=True)
class Judged:
    """Values of the cohorts, and the scans that could not be judged, with reasons."""

    scores: tuple[Score, ...] = ()
    failures: tuple[str, ...] = ()

    def __add__(self, other: Judged) -> Judged:
        return Judged(self.scores + other.scores, tuple(dict.fromkeys(self.failures + other.failures)))


def judge(zoo: Zoo, shown: str, name: str, slices: int | None) -> Judged:
    """A recipe on every table, by a benchmark that is run if it was not yet.

    Raises `FlairlineError` where no scan of a table could be judged.
    """
    judged = Judged()
    for table in zoo.tables:
        out = zoo.out / "rows" / f"{name}-on-{table.stem}-{slices or 'all'}"
        if not (out / "manifest.json").exists():  # written last
            by = [protocols.load(protocol) for protocol in zoo.protocols]
            source = RecipeSource(recipes.load(shown), zoo.atlas, zoo.out / "preprocess")
            finished = run(Plan(CaseTable(table).cases(), [source], by, out, slices=slices))
            finished.remove_scores()
            if finished.nothing_done:
                raise FlairlineError("; ".join(f"{scan}: {why}" for scan, why in finished.failures.items()))
        failures = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["failures"]
        rows = [row for row in read_records(out / "rows.csv", Row) if row.subject == COHORT and row.metric in METRICS]
        judged += Judged(
            tuple(
                Score(r.dataset, r.protocol, str(slices or "all"), r.metric, r.value, r.low, r.high, r.n) for r in rows
            ),
            tuple(dict.fromkeys(f"{row['scan']}: {row['reason']}".replace(str(zoo.out), "OUT") for row in failures)),
        )
    return judged


def seconds_a_volume(zoo: Zoo, shown: str, slices: int | None) -> float:
    """Seconds of the scorer alone on the first scan of the first table, or on so many slices of it; second run."""
    labelled = read_scan(CaseTable(zoo.tables[0]).cases()[0], JUDGED).labelled(merge=True)
    protocol = replace(protocols.load("sound"), brain_slices=slices)
    scan = protocol.few_slices(protocol.prepare(labelled).scan)
    scorer = recipes.load(shown).scorer()
    if slices is None:
        scorer(scan)  # what is loaded once
    started = time.perf_counter()
    scorer(scan)
    return time.perf_counter() - started


def run_method(zoo: Zoo, name: str, family: str, also_few: bool) -> Learned:
    """Train, judge and write one method's result."""
    folder = train(zoo, family)
    shown, info = f"{name}={folder}", load_method(name).info
    few = SLICES if info.iterative else None
    judged = judge(zoo, shown, name, few)
    if also_few and few is None:
        judged += judge(zoo, shown, name, SLICES)
    config = ModelFolder(folder).config()
    training = config.get("training", {})
    curve = training.get("curve") or {}
    steps, values = tuple(curve.get("steps", ())), tuple(curve.get("values", ()))
    result = Learned(
        method=name,
        family=family,
        published_as=info.published_as,
        trained_on=f"{zoo.people} synthetic people {'with' if family in FROM_PATIENTS else 'without'} lesions",
        preset=str(config.get("preset", zoo.preset)),
        budget_minutes=zoo.budget(family),
        seconds=float(training.get("seconds", float("nan"))),
        steps=int(training.get("steps", 0)),
        curve_steps=steps,
        curve_values=values,
        convergence=convergence(steps, values),
        l1_healthy=float(config.get("l1_healthy", float("nan"))),
        seconds_a_volume=seconds_a_volume(zoo, shown, few),
        scores=judged.scores,
        failures=judged.failures,
        **when_and_what(),
    )
    write_result(zoo.result(name), result)
    return result


def run_line(zoo: Zoo, name: str) -> Learned:
    """Judge one of `LINES` on all slices and on few, and write its result."""
    judged = judge(zoo, name, name, None) + judge(zoo, name, name, SLICES)
    seconds, published = seconds_a_volume(zoo, name, None), ""
    if name in registry.names("methods"):
        published = load_method(name).info.published_as
    result = Learned(
        method=name,
        family="",
        published_as=published,
        trained_on="",
        seconds_a_volume=seconds,
        scores=judged.scores,
        failures=judged.failures,
        **when_and_what(),
    )
    write_result(zoo.result(name), result)
    return result


def run_zoo(zoo: Zoo, families: Mapping[str, str]) -> dict[str, str]:
    """Everything that has no result yet; what fails is named with its reason, and the others go on.

    Several runs may share a folder: what another one is at comes last, and is waited for.
    """
    failed = {}
    few = beside_iterative(families)
    work = [(name, "") for name in zoo.lines] + list(families.items())
    locks = zoo.out / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    for wait_seconds in (0, -1):  # -1: as long as it takes
        left = [(name, family) for name, family in work if not zoo.result(name).exists() and name not in failed]
        for name, family in left:
            started = time.perf_counter()
            try:
                with FileLock(locks / f"{family or name}.lock", timeout=wait_seconds):
                    if zoo.result(name).exists():
                        continue
                    run_method(zoo, name, family, name in few) if family else run_line(zoo, name)
            except Timeout:
                print(f"{name}: another run is at {family or name}; it comes last", flush=True)
                continue
            except FlairlineError as error:
                failed[name] = str(error)
            state = "failed" if name in failed else "done"
            place = [listed for listed, _ in work].index(name) + 1
            print(f"{place}/{len(work)} {name}: {state}, {(time.perf_counter() - started) / 60:.1f} min", flush=True)
    return failed


def table_of(path: Path, cases: Sequence[Case], with_truth: bool = True) -> Path:
    """A table of cases; without truths nobody can learn from them."""
    columns = ("dataset", "subject", "flair", "t1", "brain", *(("truth",) if with_truth else ()))
    lines = [[case.dataset, case.subject, *(getattr(case, role) or "" for role in columns[2:])] for case in cases]
    write_text(path, csv_text(columns, lines))
    return path


def real_tables(data: Path, out: Path) -> tuple[Path, ...]:
    """Tables of the real scans; the FLAIR of MSSEG 2015 goes onto its truth's grid, as its owners' do."""
    tables = []
    for name in ("brats2015", "mslub", "msseg2015"):
        cases = []
        for folder in sorted(path.parent for path in (data / name).glob("*/truth.nii.gz")):
            files = {role: folder / f"{role}.nii.gz" for role in ("flair", "t1", "brain", "truth")}
            if name == "msseg2015":
                files["flair"] = _on_grid_of(
                    files["truth"], files["flair"], out / "data" / folder.name / "flair.nii.gz"
                )
                files.pop("t1")
            there = {role: path for role, path in files.items() if path.exists()}
            cases.append(Case(name, folder.name, **there))
        tables.append(table_of(out / f"{name}.csv", cases))
    return tuple(tables)


def _on_grid_of(truth: Path, flair: Path, target: Path) -> Path:
    if not target.exists():
        write_volume(target, resample_volume(read_volume(flair), read_space(truth)))
    return target


def real_zoo(out: Path, results: Path, people: int, preset: str | None, data: Path) -> Zoo:
    """The zoo on synthetic people and real scans; people and tables that are there stay."""

    def made(name: str, lesions: bool, seed: int) -> Path:
        folder = out / "people" / name
        synthesise_people(People(folder, lesions=lesions, seed=seed), people, jobs=2)
        return table_of(out / f"{name}.csv", Bids(folder).scans(), with_truth=not lesions)

    return Zoo(
        out,
        results,
        partial(made, "healthy", False, 0),
        partial(made, "patients", True, WITH_LESIONS_SEED),
        real_tables(data, out),
        people,
        preset or _usual_preset(),
        atlas=str(data / "sri24" / "spgr.nii.gz"),
    )


def quick_zoo(out: Path, results: Path) -> Zoo:
    """The same on phantoms of 4 mm, at the preset test."""
    healthy = Phantoms(out / "healthy", spacing_mm=4.0, seed=7).healthy(3)
    patients = Phantoms(out / "patients", spacing_mm=4.0, subjects=2, seed=1).cases()
    return Zoo(
        out,
        results,
        partial(table_of, out / "healthy.csv", healthy),
        partial(table_of, out / "learn-from-patients.csv", patients, with_truth=False),
        (table_of(out / "mslub.csv", [replace(case, dataset="mslub") for case in patients]),),
        people=3,
        preset="test",
        minutes={},
        minutes_otherwise=0.2,
        protocols=("sound", "native"),  # baur wants the grid of an atlas
        lines=tuple(name for name in LINES if name != "default"),
    )


def _usual_preset() -> str:
    import torch

    return "paper" if torch.cuda.is_available() else "small"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make people, train, judge, write. Exit code 1 if a method failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True, help="people, models and rows")
    parser.add_argument("--results", type=Path, help="where results go; default: OUT/results")
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--preset", help="default: small, with a GPU paper")
    parser.add_argument("--method", action="append", help="these methods only; repeat")
    parser.add_argument("--quick", action="store_true", help="on phantoms")
    given = parser.parse_args(arguments)
    results = given.results or given.out / "results"
    if given.quick:
        zoo = quick_zoo(given.out, results)
    else:
        data = Path(os.environ["FLAIRLINE_DATA"])
        zoo = real_zoo(given.out, results, given.people, given.preset, data)
    chosen = {name: family for name, family in learning().items() if not given.method or name in given.method}
    failed = run_zoo(zoo, chosen)
    for path in write_tables(results):
        print(path)
    for name, why in failed.items():
        print(f"{name} failed: {why}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
