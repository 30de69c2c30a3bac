"""The whole benchmark but its pages: every source by every protocol, rows, tables, figures, ablation, manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from flairline import executor
from flairline.benchmarking import ablation, breakdown, judge, rule_ablation
from flairline.benchmarking.judge import Result
from flairline.benchmarking.manifest import write_manifest
from flairline.benchmarking.paper import reconstruction, tables
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.rows import Row, write_rows
from flairline.evaluation.breakdown import Split
from flairline.evaluation.protocols import Protocol
from flairline.io.files import prepare_folder
from flairline.io.logs import with_log
from flairline.types import Progress, no_progress


@dataclass(frozen=True)
class Finished:
    """What was run and written.

    Attributes
    ----------
    results
        Of each protocol and source, in the plan's order.
    parameters
        What the manifest says of how it was made.
    written
        What a reader may want to open: its name for people, and where it lies.
    unwritten
        What could not be made of the rows (tables, figures, an ablation): its name, and why.
    """

    plan: Plan
    results: Sequence[Result]
    parameters: dict[str, Any]
    written: dict[str, Path] = field(default_factory=dict)
    unwritten: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """All rows, as in rows.csv."""
        return [row for result in self.results for row in result.rows]

    @property
    def failures(self) -> dict[str, str]:
        """Scans that could not be judged, with reasons."""
        return {**self.plan.incomplete, **{scan: why for result in self.results for scan, why in result.failures}}

    @property
    def doubts(self) -> dict[str, str]:
        """Scans whose image cannot be a FLAIR, with what it looks like."""
        stored = (scan for result in self.results for scans in result.stored.values() for scan in scans)
        return {scan.case.key: flag.reason for scan in stored for flag in scan.flags}

    @property
    def nothing_done(self) -> bool:
        """Whether all failed; then nothing was written, and results of an earlier run stay as they are."""
        return bool(self.failures) and not self.rows

    @property
    def without_truth(self) -> list[str]:
        """Scans that were scored and not judged."""
        return sorted({scan for result in self.results for scan in result.without_truth})

    @property
    def of_first_protocol(self) -> list[Result]:
        """The results that a page draws curves and pictures of."""
        return [result for result in self.results if result.protocol == self.plan.judged_by[0]]

    def remove_scores(self) -> None:
        """Delete OUT/work, unless the plan says to keep it. Tables and figures stay; pages cannot be made any more."""
        if not self.plan.keep_scores:
            shutil.rmtree(self.plan.work, ignore_errors=True)


def run(plan: Plan, progress: Progress = no_progress) -> Finished:
    """Judge every source by every protocol; write OUT/rows.csv and OUT/manifest.json.

    For the paper's protocols its tables and figures are written, too, for networks that reconstruct figure 4 and its
    table. Scores stay in OUT/work, which pages need: call `Finished.remove_scores` where no page is made.

    Raises
    ------
    OutputError
        OUT cannot be written to.
    InputError
        A source says that a protocol would fail on every scan: its atlas cannot be had or is on another grid. Or the
        plan breaks figures down by a column that the cases lack, or that makes no groups.
    ModelError
        A source's model folder is broken.
    """
    prepare_folder(plan.out)
    parted = breakdown.splits(plan)
    for protocol in plan.judged_by:
        for source in plan.sources:
            source.check(protocol)
    described = [protocol.describe() for protocol in plan.judged_by]
    results = [
        judge.judge(plan.cases, source, protocol, plan.work, jobs=plan.jobs, seed=plan.seed, progress=progress)
        for protocol in plan.judged_by
        for source in plan.sources
    ]
    parameters = {
        "protocol": described[0] if len(described) == 1 else described,
        "seed": plan.seed,
        "methods": {source.name: source.describe() for source in plan.sources},
        "left_out": list(plan.left_out),
    }
    finished = Finished(plan, results, parameters)
    if finished.nothing_done:
        return finished
    breakdown.remove(plan.out / "tables")  # of an earlier run, whose columns this one may lack
    write_rows(plan.out / "rows.csv", finished.rows)
    if any(result.counts for result in results):
        if any(tables.is_published(protocol) for protocol in plan.judged_by):
            _attempt(finished, "Tables and figures", lambda: _write_paper(finished, progress))
        if any(source.reconstruction_quality() is not None for source in plan.sources):
            _attempt(finished, "Reconstruction against Dice", lambda: _write_reconstructions(finished, progress))
    for column in parted:
        _attempt(finished, f"Figures by {column.column}", partial(_write_breakdown, finished, column))
    if plan.errors:
        _attempt(finished, "Where the Dice goes", lambda: _write_errors(finished, progress))
    if plan.ablate:
        for protocol in plan.judged_by:
            _attempt(finished, f"Ablation of {protocol.name}", partial(_write_ablation, finished, protocol, progress))
    write_manifest(plan.out / "manifest.json", plan.cases, parameters, results, plan.incomplete)
    return finished


def _attempt(finished: Finished, what: str, write: Callable[[], None]) -> None:
    """Write what is made of the rows; where that fails, rows, manifest and page are written all the same."""
    for outcome in executor.run(lambda _: write(), [what]):
        if outcome.error is not None:
            finished.unwritten[what] = with_log(outcome, finished.plan.out, what).error or ""


def _write_paper(finished: Finished, progress: Progress) -> None:
    from flairline.benchmarking.paper import figures

    plan = finished.plan
    protocol = next(protocol for protocol in plan.judged_by if tables.is_published(protocol))
    truths = tables.lesions_of_truths(plan.cases, protocol, plan.sources[0], plan.jobs, progress)
    made = tables.make(finished.results, truths, plan.cases, plan.sources)
    tables.write(plan.out / "tables", made)
    finished.written["Tables"] = plan.out / "tables"
    figures.write(plan.out / "figures", finished.results, plan.sources, progress)
    finished.written["Figures"] = plan.out / "figures"


def _write_reconstructions(finished: Finished, progress: Progress) -> None:
    from flairline.benchmarking.paper import reconstruction_figure

    plan = finished.plan
    reconstruction.write(plan.out / "tables", finished.results, plan.sources)
    reconstruction_figure.write(plan.out / "figures", finished.results, plan.sources, progress)
    finished.written["Reconstruction against Dice"] = plan.out / "tables" / "reconstruction.md"


def _write_breakdown(finished: Finished, column: Split) -> None:
    path = breakdown.write(finished.plan.out / "tables", finished.plan, finished.results, column)
    finished.written[f"Figures by {column.column}"] = path


def _write_ablation(finished: Finished, protocol: Protocol, progress: Progress) -> None:
    plan = finished.plan
    turned, walk = ablation.run(plan, protocol, progress)
    folder = plan.out / "ablation" / protocol.name
    ablation.write(folder, protocol, turned, walk)
    rule_ablation.write(folder, rule_ablation.run(finished.results, plan.sources, protocol))
    finished.written[f"What your Dice is made of ({protocol.name})"] = folder / "dice.md"


def _write_errors(finished: Finished, progress: Progress) -> None:
    from flairline.benchmarking import error_pictures, error_tables, errors

    plan, folder = finished.plan, finished.plan.out / "errors"
    cohorts = errors.look(finished.results, plan.sources, plan.out, plan.jobs, progress)
    error_tables.write(folder, cohorts, plan.seed)
    error_pictures.draw(folder / "pictures", cohorts, finished.results)
    finished.written["Where the Dice goes"] = folder / "table.md"
    failed = [scan for cohort in cohorts for scan in cohort.failures]
    if failed:
        finished.unwritten["Where the Dice goes"] = f"not of {', '.join(failed)}: OUT/logs says why"
