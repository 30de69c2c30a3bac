"""Every method that learns from healthy scans, trained for a small budget and judged on patients it has not seen.

Each family is trained (a) on phantoms without lesions, (b) on the lesion-free slices of each table of cases, and judged
on the other tables (phantom models on all), beside the methods that need no training. With `--slices N` restoration,
which takes minutes a volume, is judged on N axial slices of each scan, evenly spaced over its brain; `vae` and the
controls stand beside it on the same slices ("N slices" in the table).

    python -m bench.learned --table brats.csv --table ms.csv -o OUT --minutes 1 --slices 12

Models that are in OUT/models already are not trained again, rows that are in OUT/rows not judged again. Ends with a
Markdown table (OUT/table.md) and a line of JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flairline import recipes, registry
from flairline.cases.table import Dataset as Table
from flairline.datasets.phantom import Dataset as Phantoms
from flairline.errors import MissingExtraError
from flairline.io.nifti import write_mask, write_volume
from flairline.preprocess.read import read_scan
from flairline.preprocess.settings import PreprocessSettings
from flairline.types import Mask

JUDGED = PreprocessSettings().for_judging(None)
FLAIRLINE = str(Path(sys.executable).parent / "flairline")
CONTROLS = ("histeq", "intensity", "highpass")
METRICS = ("dice_oracle", "auprc", "auroc")
PUBLISHED = {
    "ae_dense": "AE (dense)",
    "ae_spatial": "AE (spatial)",
    "vae_restoration": "VAE (restoration)",
    "ssae": "SSAE (spatial)",
    "histeq": "Baseline",
}
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
            method = registry.load("methods", name)
        except MissingExtraError:
            continue
        if getattr(method, "learns_from", "") == "scans":
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


def judge(methods: Sequence[str], table: Path, out: Path, protocol: Sequence[str], atlas: str | None) -> list[dict]:
    """Rows of `flairline benchmark`, which is run if they are not there yet."""
    command = [FLAIRLINE, "benchmark", "--cases", str(table), "-o", str(out), "--pages", "none"]
    for name in methods:
        command += ["--method", name]
    for name in protocol:
        command += ["--protocol", name]
    command += ["--atlas", atlas] if atlas else []
    if not (out / "manifest.json").exists():  # written last
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with (out / "rows.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["subject"] == "cohort" and row["metric"] in METRICS]


def thinned(table: Path, n_slices: int, out: Path) -> Path:
    """A table of the same scans whose brain and truth are empty but for `n_slices` axial slices through the brain."""
    rows = []
    for case in Table(table).cases():
        labelled = read_scan(case, JUDGED).labelled(merge=True)
        assert labelled.labels is not None
        scan, folder = labelled.scan, out / f"{case.dataset}-{case.subject}"
        there = np.flatnonzero(scan.brain.array.any(axis=(0, 1)))
        kept = np.zeros(scan.space.shape[2], dtype=bool)
        kept[there[np.linspace(0, len(there) - 1, n_slices + 2).round().astype(int)[1:-1]]] = True
        folder.mkdir(parents=True, exist_ok=True)
        write_volume(folder / "flair.nii.gz", scan.flair)
        write_mask(folder / "brain.nii.gz", Mask(scan.brain.array & kept, scan.space))
        write_mask(folder / "truth.nii.gz", Mask((labelled.labels >= 0.5) & kept, scan.space))
        rows.append([case.dataset, case.subject, *(str(folder / f"{n}.nii.gz") for n in ("flair", "brain", "truth"))])
    path = out / f"{table.stem}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["dataset", "subject", "flair", "brain", "truth"], *rows])
    return path


def seconds_a_volume(name: str, table: Path) -> float:
    """Seconds of the scorer alone, its network read, on the first scan of a table."""
    scan = read_scan(Table(table).cases()[0], JUDGED).labelled(merge=True).scan
    scorer = recipes.load(name).scorer()
    if hasattr(scorer, "warm"):
        scorer.warm()
    started = time.perf_counter()
    scorer(scan)
    return time.perf_counter() - started


def published() -> dict[tuple[str, str, str], str]:
    """Method, data set, metric -> value of the paper's table 2."""
    path = Path(recipes.__file__).parent / "published" / "tables.csv"
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == "2"]
    names = {shown: name for name, shown in PUBLISHED.items()}
    return {
        (names[row["method"]], row["dataset"].lower(), row["metric"]): row["value"]
        for row in rows
        if row["method"] in names
    }


def main() -> None:
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
    given = parser.parse_args()
    families = {name: family for name, family in learning().items() if not given.method or name in given.method}
    lines: list[dict] = []
    known = published()
    for source in sources(given.table, given.out):
        models = {family: given.out / "models" / source.name.replace(" ", "-") / family for family in families.values()}
        for family, folder in models.items():
            train(family, source, folder, given.minutes, given.preset)
        for table in source.tables:
            runs = [(table, "all", families)]
            if given.slices and SLOW in families:
                few = {name: family for name, family in families.items() if name in (SLOW, BESIDE)}
                rest = {name: family for name, family in families.items() if name != SLOW}
                thin = thinned(table, given.slices, given.out / "thin" / table.stem)
                runs = [(table, "all", rest), (thin, str(given.slices), few)]
            for cases, slices, chosen in runs:
                names = {f"{name}={models[family]}": name for name, family in chosen.items()}
                folder = given.out / "rows" / f"{source.name.replace(' ', '-')}-on-{table.stem}-{slices}"
                rows = judge([*names, *CONTROLS], cases, folder, given.protocol or ["sound"], given.atlas)
                seconds = {name: seconds_a_volume(name, cases) for name in names}
                lines += [
                    {"slices": slices, **line}
                    for line in table_lines(rows, names, models, families, seconds, source.name, known)
                ]
    write(given.out, lines)


def table_lines(
    rows: list[dict],
    names: dict[str, str],
    models: dict[str, Path],
    families: dict[str, str],
    seconds: dict[str, float],
    source: str,
    known: dict[tuple[str, str, str], str],
) -> list[dict]:
    """One line for each protocol, data set and method."""
    value = {(r["protocol"], r["dataset"], r["method"], r["metric"]): float(r["value"]) for r in rows}
    lines = []
    for protocol, dataset in dict.fromkeys((r["protocol"], r["dataset"]) for r in rows):
        dice = {control: value[protocol, dataset, control, "dice_oracle"] for control in CONTROLS}
        for shown, name in [*names.items(), *((control, control) for control in CONTROLS)]:
            training = {} if name in CONTROLS else json.loads((models[families[name]] / "config.json").read_text())
            line = {"protocol": protocol, "data set": dataset, "trained on": "-" if name in CONTROLS else source}
            line |= {"method": name} | {m: value[protocol, dataset, shown, m] for m in METRICS}
            line["training minutes"] = training["training"]["seconds"] / 60 if training else 0.0
            line["seconds a volume"] = seconds.get(shown, float("nan"))
            line["published"] = " / ".join(known.get((name, dataset, metric), "-") for metric in METRICS)
            line["beats"] = ", ".join(c for c in CONTROLS if c != name and line["dice_oracle"] > dice[c]) or "none"
            lines.append(line)
    return lines


def write(out: Path, lines: list[dict]) -> None:
    """OUT/table.md, OUT/table.json, and one line of JSON."""
    key = ("slices", "protocol", "data set", "trained on", "method")
    unique = list({tuple(line.get(part) for part in key): line for line in lines}.values())
    columns = list(unique[0])
    text = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for line in unique:
        cells = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in line.values()]
        text.append("| " + " | ".join(cells) + " |")
    (out / "table.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    (out / "table.json").write_text(json.dumps(unique, indent=1), encoding="utf-8")
    print("\n".join(text))
    print(json.dumps({"lines": len(unique), "table": str(out / "table.md")}))


if __name__ == "__main__":
    main()
