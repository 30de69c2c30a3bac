"""The whole benchmark: every method by every protocol, rows, tables, figures, ablation, into one folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flairline.benchmarking import ablation
from flairline.benchmarking import judge as benchmark
from flairline.benchmarking.judge import FileMaps, RecipeMaps, Result
from flairline.benchmarking.paper import reconstruction, tables
from flairline.errors import GridError
from flairline.evaluation.protocols import Protocol, on_sri24_grid
from flairline.preprocess.atlas import load_atlas
from flairline.types import Case, Progress


@dataclass(frozen=True)
class Settings:
    """Where results go and how they are made. `ablate` also turns the protocols' fields one after the other."""

    out: Path
    jobs: int = 1
    seed: int = 0
    ablate: bool = False


@dataclass
class Done:
    """What was run and written; `failures` names scans and reasons, `written` what a reader may want to open."""

    results: list[Result] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    written: dict[str, Path] = field(default_factory=dict)


def run(
    cases: Sequence[Case],
    maps: Sequence[RecipeMaps | FileMaps],
    protocols: Sequence[Protocol],
    settings: Settings,
    progress: Progress,
) -> Done:
    """Judge every method by every protocol and write OUT/rows.csv; for the paper's protocols its tables and figures,
    for networks that reconstruct figure 4 and its table.

    Intermediate maps stay in OUT/work.

    Raises
    ------
    OutputError
        OUT cannot be written to.
    InputError
        The atlas cannot be had, or is not on the grid that a protocol wants.
    """
    out, done = settings.out, Done()
    _check_atlas(maps, protocols)
    for protocol in protocols:
        for one in maps:
            work, jobs, seed = out / "work", settings.jobs, settings.seed
            done.results.append(benchmark.run(cases, one, protocol, work, jobs=jobs, seed=seed, progress=progress))
    done.failures = {scan: reason for result in done.results for scan, reason in result.failures}
    described: Any = [asdict(protocol) for protocol in protocols]
    done.parameters = {
        "protocol": described[0] if len(described) == 1 else described,
        "seed": settings.seed,
        "methods": {one.name: one.describe() for one in maps},
    }
    rows = [row for result in done.results for row in result.rows]
    if done.failures and not rows:
        return done  # results of an earlier run, if there are any, stay as they are
    benchmark.write_rows(out / "rows.csv", rows)
    if any(protocol.name in tables.EXPERIMENTS.values() for protocol in protocols) and any(
        result.counts for result in done.results
    ):
        _write_tables(cases, maps, protocols, settings, progress, done)
        _write_figures(maps, settings, progress, done)
    if any(map(reconstruction.is_reconstructing, maps)) and any(result.counts for result in done.results):
        _write_reconstructions(maps, settings, progress, done)
    if settings.ablate:
        _write_ablation(cases, maps, protocols, settings, progress, done)
    return done


def _check_atlas(maps: Sequence[RecipeMaps | FileMaps], protocols: Sequence[Protocol]) -> None:
    """An atlas on another grid than a protocol wants would fail every scan: say so before the first."""
    maps_to_atlas = next((one for one in maps if isinstance(one, RecipeMaps) and one.atlas), None)
    wanting = next((protocol for protocol in protocols if protocol.needs_sri24), None)
    if maps_to_atlas is None or maps_to_atlas.atlas is None or wanting is None:
        return
    space = load_atlas(maps_to_atlas.atlas, maps_to_atlas.cache).space
    if not on_sri24_grid(space):
        msg = (
            f"The protocol {wanting.name} counts slices on the SRI24 grid (240x240x155 voxels of 1 mm), but the atlas"
            f" {maps_to_atlas.atlas} has {space.describe()}. Give --atlas sri24, or SRI24's T1 as a file."
        )
        raise GridError(msg)


def _write_tables(
    cases: Sequence[Case],
    maps: Sequence[RecipeMaps | FileMaps],
    protocols: Sequence[Protocol],
    settings: Settings,
    progress: Progress,
    done: Done,
) -> None:
    first = maps[0]
    atlas = first.atlas if isinstance(first, RecipeMaps) else None
    protocol = next(one for one in protocols if one.name in tables.EXPERIMENTS.values())
    truths = tables.lesions_of_truths(cases, protocol, first, settings.jobs, progress)
    tables.write(settings.out / "tables", tables.make(done.results, truths, cases, atlas))
    done.written["Tables"] = settings.out / "tables"


def _write_figures(maps: Sequence[RecipeMaps | FileMaps], settings: Settings, progress: Progress, done: Done) -> None:
    from flairline.benchmarking.paper import figures as paper_figures

    paper_figures.write(settings.out / "figures", done.results, maps, progress)
    done.written["Figures"] = settings.out / "figures"


def _write_reconstructions(
    maps: Sequence[RecipeMaps | FileMaps], settings: Settings, progress: Progress, done: Done
) -> None:
    from flairline.benchmarking.paper import reconstruction_figure

    reconstruction.write(settings.out / "tables", done.results, maps)
    reconstruction_figure.write(settings.out / "figures", done.results, maps, progress)
    done.written["Reconstruction against Dice"] = settings.out / "tables" / "reconstruction.md"


def _write_ablation(
    cases: Sequence[Case],
    maps: Sequence[RecipeMaps | FileMaps],
    protocols: Sequence[Protocol],
    settings: Settings,
    progress: Progress,
    done: Done,
) -> None:
    for protocol in protocols:
        rows, walk = ablation.run(cases, maps, protocol, settings.out / "work", settings.jobs, settings.seed, progress)
        folder = settings.out / "ablation" / protocol.name
        ablation.write(folder, protocol, rows, walk)
        done.written[f"What your Dice is made of ({protocol.name})"] = folder / "dice.md"
