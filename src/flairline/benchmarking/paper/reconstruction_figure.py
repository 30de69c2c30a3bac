"""Figure 4: input, reconstruction, residual and truth of every method, on the slice with the largest lesion.

After the figure that Meissen et al. 2021 take from Baur et al. 2021. One figure a protocol and data set, one row a
method. Inputs and reconstructions share one scale, [0, 1]; scores share none, so each goes from 0 to its highest value
in the slice, which stands beside it. One scan is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flairline.benchmarking.judge import Result
from flairline.benchmarking.paper.figures import as_shown, file_name, picture_axes, save
from flairline.benchmarking.paper.published import dataset_name
from flairline.benchmarking.source import MapSource
from flairline.benchmarking.store import StoredScore
from flairline.drawing.palette import TRUTH_COLOUR
from flairline.evaluation.protocols import Protocol
from flairline.learning.slices.slices import to_unit
from flairline.types import BoolArray, Case, Progress, Scan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("input", "reconstruction", "score", "truth")


@dataclass(frozen=True)
class Chosen:
    """The slice of a data set that is shown: its case, place among the judged slices, truth (x, y), lesion area."""

    case: Case
    z: int
    truth: BoolArray
    area_mm2: float


@dataclass(frozen=True)
class Shown:
    """What one method makes of the slice; images are (x, y), None where there is none, which `note` explains."""

    method: str
    seen: NDArray[np.float32]
    reconstruction: NDArray[np.float32] | None
    score: NDArray[np.float32] | None
    note: str = ""


def write(folder: Path, results: Sequence[Result], sources: Sequence[MapSource], progress: Progress) -> list[Path]:
    """Write FOLDER/figure4_PROTOCOL_DATASET.{png,svg} while the stored scores are there. Raises `OutputError`."""
    by_name, paths = {source.name: source for source in sources}, []
    for protocol in dict.fromkeys(result.protocol for result in results):
        by_protocol = [result for result in results if result.protocol == protocol]
        datasets = list(dict.fromkeys(dataset for result in by_protocol for dataset, _ in result.stored))
        for number, dataset in enumerate(datasets):
            progress(f"drawing reconstructions, {protocol.name}", number, len(datasets))
            chosen = choose(by_protocol, dataset)
            if chosen is None:
                continue
            rows = [row_of(result, by_name[result.method], chosen) for result in by_protocol]
            where = folder / f"figure4_{protocol.name}_{file_name(dataset)}"
            paths += save(where, draw(rows, chosen, protocol))
    return paths


def choose(results: Sequence[Result], dataset: str) -> Chosen | None:
    """The judged slice with the largest lesion area of all scans of a data set; None if no scan has a lesion."""
    stored: dict[str, StoredScore] = {}
    for result in results:
        for scan in result.stored.get((dataset, result.method), []):
            if scan.has_truth and scan.case.flair is not None:
                stored.setdefault(scan.case.key, scan)
    best = None
    for scan in stored.values():
        truth = scan.load().truth
        areas_mm2 = truth.sum(axis=(0, 1)) * scan.spacing_mm[0] * scan.spacing_mm[1]
        z = int(areas_mm2.argmax())
        if areas_mm2[z] > (best.area_mm2 if best else 0.0):
            best = Chosen(scan.case, z, truth[:, :, z].copy(), float(areas_mm2[z]))
    return best


def row_of(result: Result, source: MapSource, chosen: Chosen) -> Shown:
    """What a method sees, expects and scores in the chosen slice: the network runs on that slice alone."""
    protocol = result.protocol
    scan = protocol.prepare(source.labelled(chosen.case, protocol)).scan
    z = chosen.z + (protocol.slices[0] if protocol.slices else 0)
    pair = source.reconstruction(scan, z)
    if pair is None:
        seen = _unit(scan)[:, :, z]
        return Shown(result.method, seen, None, _score(result, chosen), "none: it does\nnot reconstruct")
    seen, healthy = (image.array[:, :, z].copy() for image in pair)
    return Shown(result.method, seen, healthy, _score(result, chosen))


def draw(rows: Sequence[Shown], chosen: Chosen, protocol: Protocol) -> Figure:
    """One row a method; columns as `COLUMNS`."""
    figure, axes = picture_axes(len(rows), len(COLUMNS))
    names = _short([row.method for row in rows])
    for row, line, name in zip(rows, axes, names, strict=True):
        _show(line[0], row.seen, 1.0)
        _show(line[1], row.reconstruction, 1.0, row.note)
        highest = 1.0 if row.score is None else float(row.score.max())
        _show(line[2], row.score, highest, "no score")
        if row.score is not None:
            line[2].set_xlabel(f"0 to {highest:.3g}", fontsize=6, labelpad=1)
        _show(line[3], row.seen, 1.0)
        line[3].contour(as_shown(chosen.truth), [0.5], colors=TRUTH_COLOUR, linewidths=1.0)
        line[0].set_ylabel(name, fontsize=7, parse_math=False)
    for axis, column in zip(axes[0], COLUMNS, strict=True):
        axis.set_title(column, fontsize=8)
    subject = f"{chosen.case.subject} {chosen.case.session}".strip()
    place = chosen.z + (protocol.slices[0] if protocol.slices else 0)
    figure.suptitle(
        f"{dataset_name(chosen.case.dataset)} {subject}, {protocol.name}\n"
        f"axial slice {place}: the data set's largest lesion area, {chosen.area_mm2:.0f} mm²",
        fontsize=8,
        parse_math=False,
    )
    return figure


def _score(result: Result, chosen: Chosen) -> NDArray[np.float32] | None:
    """The judged score in the slice; None where the method failed on the scan."""
    case = chosen.case
    for scan in result.stored.get((case.dataset, result.method), []):
        if scan.case.key == case.key:
            return scan.load().score[:, :, chosen.z].copy()
    return None


def _unit(scan: Scan) -> NDArray[np.float32]:
    """The FLAIR as most slice methods see it, for methods that see all of it."""
    return np.where(scan.brain.array, to_unit(scan.flair.array, scan.brain.array), np.float32(0))


def _short(methods: Sequence[str]) -> list[str]:
    """Names without the model's folder, unless that tells two rows apart: then its last part stays."""
    short = [method.partition("=")[0] for method in methods]
    return [
        name if short.count(name) == 1 else f"{name}\n{Path(method.partition('=')[2]).name}"
        for name, method in zip(short, methods, strict=True)
    ]


def _show(axis: Axes, image: NDArray[np.float32] | None, highest: float, note: str = "") -> None:
    if image is None:
        axis.text(0.5, 0.5, note, ha="center", va="center", fontsize=6, transform=axis.transAxes)
        return
    top = highest if highest > 0 else 1.0
    axis.imshow(as_shown(image), cmap="gray", origin="lower", vmin=0.0, vmax=top, interpolation="nearest")
