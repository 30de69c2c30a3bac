"""Every method that learns from healthy scans, trained for a small budget and judged on patients it has not seen.

Each family is trained (a) on phantoms without lesions, (b) on the lesion-free slices of each table of cases, and judged
on the other tables (phantom models on all), beside the methods that need no training. With `--slices N` restoration,
which takes minutes a volume, is judged on N axial slices of each scan, evenly spaced over its brain; `vae` and the
controls stand beside it on the same slices ("N slices" in the table).

    python -m studies.learned --table brats.csv --table ms.csv -o OUT --minutes 1 --slices 12

Models that are in OUT/models already are not trained again, rows that are in OUT/rows not judged again. Ends with a
Markdown table (OUT/table.md) and a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flairline import recipes, registry
from flairline.benchmarking import controls
from flairline.benchmarking.paper import published
from flairline.benchmarking.plan import Plan
from flairline.benchmarking.rows import COHORT, Row
from flairline.benchmarking.run import run
from flairline.benchmarking.source import RecipeSource
from flairline.cases.table import CaseTable
from flairline.datasets.phantom import Dataset as Phantoms
from flairline.errors import MissingExtraError
from flairline.evaluation import protocols
from flairline.io.tables import markdown_text, read_records
from flairline.methods.base import load_method, trainable
from flairline.preprocess.to_atlas import labelled_scan

FLAIRLINE = str(Path(sys.executable).parent / "flairline")
CONTROLS = ("histeq", *controls.names())
METRICS = ("dice_oracle", "auprc", "auroc")
PHANTOMS = 10
SLOW, BESIDE = "vae_restoration", "vae"
"""Judged on few slices, and what stands beside it there."""


@dataclass(frozen=True)
class Source:
    """What a family is trained on: its name in the table and what `flairline fit` is given."""

    name: str
    arguments: tuple[str, ...]
    tables: tuple[Path, ...]
    """Tables that its models are judged on."""


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


def sources(tables: Sequence[Path], out: Path) -> Iterator[Source]:
    """Phantoms, and each table."""
    healthy = Phantoms(out / "phantoms", spacing_mm=2.0, seed=7).healthy(PHANTOMS)
    flairs = tuple(str(case.flair) for case in healthy)
    yield Source("phantoms", flairs, tuple(tables))
    for table in tables:
        others = tuple(other for other in tables if other != table)
        yield Source(f"lesion-free slices of {table.stem}", ("--cases", str(table), "--lesion-free-slices"), others)


def train(family: str, source: Source, folder: Path, minutes: float, preset: str) -> None:
    """`flairline fit`, if the model is not there yet."""
    if (folder / "config.json").exists():
        return
    budget = ("--max-minutes", str(minutes), "--preset", preset)
    command = [FLAIRLINE, "fit", family, *source.arguments, "-o", str(folder), *budget]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@dataclass(frozen=True)
class Judging:
    """How models are judged: by which protocols, and where scans go that one wants on an atlas."""

    protocols: tuple[str, ...]
    atlas: str | None

    def rows(self, methods: Sequence[str], table: Path, out: Path, slices: int | None) -> list[Row]:
        """The cohorts' rows of a benchmark, which is run if they are not there yet."""
        if not (out / "manifest.json").exists():  # written last
            by = [protocols.load(name) for name in self.protocols]
            sources = [RecipeSource(recipes.load(name), self.atlas, out / "preprocess") for name in methods]
            run(Plan(CaseTable(table).cases(), sources, by, out, slices=slices)).remove_scores()
        rows = read_records(out / "rows.csv", Row)
        return [row for row in rows if row.subject == COHORT and row.metric in METRICS]


def seconds_a_volume(name: str, table: Path, slices: int | None) -> float:
    """Seconds of the scorer alone, its network read, on the first scan of a table, or on so many slices of it."""
    labelled = labelled_scan(CaseTable(table).cases()[0], None, merge_labels=True)
    scan = replace(protocols.load("sound"), brain_slices=slices).prepare(labelled).scan
    scorer = recipes.load(name).scorer()
    if hasattr(scorer, "warm"):
        scorer.warm()
    started = time.perf_counter()
    scorer(scan)
    return time.perf_counter() - started


def published_value(method: str, dataset: str, metric: str) -> str:
    """The value of a method in the paper's table 2; "-" where it has none."""
    name = registry.load("methods", method).info.published_as
    value = published.values().get(("2", name, published.dataset_name(dataset), metric))
    return "-" if value is None else f"{value:.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, action="append", required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--protocol", action="append")
    parser.add_argument("--atlas")
    parser.add_argument("--method", action="append", help="these methods only")
    parser.add_argument("--slices", type=int, help="judge restoration on so many slices a scan")
    given = parser.parse_args(arguments)
    families = {name: family for name, family in learning().items() if not given.method or name in given.method}
    judging = Judging(tuple(given.protocol or ["sound"]), given.atlas)
    lines: list[dict[str, Any]] = []
    for source in sources(given.table, given.out):
        models = {family: given.out / "models" / source.name.replace(" ", "-") / family for family in families.values()}
        for family, folder in models.items():
            train(family, source, folder, given.minutes, given.preset)
        for table in source.tables:
            for slices, chosen in _runs(families, given.slices):
                names = {f"{name}={models[family]}": name for name, family in chosen.items()}
                where = f"{source.name.replace(' ', '-')}-on-{table.stem}-{slices or 'all'}"
                rows = judging.rows([*names, *CONTROLS], table, given.out / "rows" / where, slices)
                trained = [
                    Trained(shown, name, source.name, models[chosen[name]], seconds_a_volume(shown, table, slices))
                    for shown, name in names.items()
                ]
                lines += [{"slices": str(slices or "all"), **line} for line in table_lines(rows, trained)]
    write(given.out, lines)


def _runs(families: Mapping[str, str], slices: int | None) -> list[tuple[int | None, dict[str, str]]]:
    """How many slices are judged (None: all), and the methods that are judged on them."""
    if slices is None or SLOW not in families:
        return [(None, dict(families))]
    rest = {name: family for name, family in families.items() if name != SLOW}
    few = {name: family for name, family in families.items() if name in (SLOW, BESIDE)}
    return [(None, rest), (slices, few)]


@dataclass(frozen=True)
class Trained:
    """A trained method: its name in the rows, its own, what its model learned from, the model, seconds a volume."""

    shown: str
    name: str
    source: str
    model: Path
    seconds: float


def table_lines(rows: Sequence[Row], trained: Sequence[Trained]) -> list[dict[str, Any]]:
    """One line for each protocol, data set and method."""
    value = {(row.protocol, row.dataset, row.method, row.metric): row.value for row in rows}
    lines = []
    for protocol, dataset in dict.fromkeys((row.protocol, row.dataset) for row in rows):
        dice = {control: value[protocol, dataset, control, "dice_oracle"] for control in CONTROLS}
        controls_too = [*trained, *(Trained(control, control, "-", Path(), float("nan")) for control in CONTROLS)]
        for method in controls_too:
            minutes = _training_minutes(method.model) if method.source != "-" else 0.0
            line: dict[str, Any] = {"protocol": protocol, "data set": dataset, "trained on": method.source}
            line |= {"method": method.name}
            line |= {metric: value[protocol, dataset, method.shown, metric] for metric in METRICS}
            line |= {"training minutes": minutes, "seconds a volume": method.seconds}
            line["published"] = " / ".join(published_value(method.name, dataset, metric) for metric in METRICS)
            beaten = (other for other in CONTROLS if other != method.name and line["dice_oracle"] > dice[other])
            line["beats"] = ", ".join(beaten) or "none"
            lines.append(line)
    return lines


def _training_minutes(model: Path) -> float:
    return json.loads((model / "config.json").read_text(encoding="utf-8"))["training"]["seconds"] / 60


def write(out: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """OUT/table.md, OUT/table.json, and one line of JSON."""
    key = ("slices", "protocol", "data set", "trained on", "method")
    unique = list({tuple(line[part] for part in key): line for line in lines}.values())
    cells = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in line.values()] for line in unique]
    text = markdown_text(list(unique[0]), cells)
    (out / "table.md").write_text(text + "\n", encoding="utf-8")
    (out / "table.json").write_text(json.dumps(unique, indent=1), encoding="utf-8")
    print(text)
    print(json.dumps({"lines": len(unique), "table": str(out / "table.md")}))


if __name__ == "__main__":
    main()
