"""Figures 2 and 3 of the paper, and three more: precision and recall, Dice by threshold, Dice by lesion size.

Slices are shown in radiological convention (the patient's left is on the right). Lines differ in their dashes as well
as in their colours, so that a grey print can be read. Every figure is written as PNG and SVG.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flairline.benchmarking.judge import Result
from flairline.benchmarking.paper.published import dataset_name
from flairline.benchmarking.source import MapSource
from flairline.drawing.palette import PRINT_COLOURS, PRINT_DASHES, TRUTH_COLOUR
from flairline.evaluation.counts import precision_recall
from flairline.evaluation.protocols import Protocol
from flairline.imaging.components import label_components
from flairline.io.files import write_bytes
from flairline.types import BoolArray, Progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLES = 2
"""Slices shown of each data set."""
SIZES_ML = (0.0, 0.02, 0.1, 1.0, 10.0, np.inf)
"""Edges of the lesion sizes that are told apart; 0.02 ml are 20 voxels of 1 mm."""
RASTER = 1000
"""Spots along each axis that points of a curve can be told apart on; more make SVG files slow."""


@dataclass(frozen=True)
class Sample:
    """One slice of one scan: input, what was found at the oracle threshold, truth; each (x, y)."""

    dataset: str
    scan: str
    flair: NDArray[np.float32]
    mask: BoolArray
    truth: BoolArray


def write(folder: Path, results: Sequence[Result], sources: Sequence[MapSource], progress: Progress) -> list[Path]:
    """Write all figures of all protocols that were run, while the stored scores are still there.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    by_name, paths = {source.name: source for source in sources}, []
    for protocol in dict.fromkeys(result.protocol for result in results):
        by_protocol = [result for result in results if result.protocol == protocol and result.counts]
        if not by_protocol:
            continue
        for number, result in enumerate(by_protocol):
            progress(f"drawing {result.method}, {protocol.name}", number, len(by_protocol))
            where = f"{protocol.name}_{file_name(result.method)}"
            if not by_name[result.method].about.is_control:
                samples = list(choose_samples(result, by_name[result.method]))
                if samples:
                    paths += save(folder / f"figure2_{where}", draw_inputs(samples, protocol))
                    paths += save(folder / f"figure3_{where}", draw_results(samples, result))
            paths += save(folder / f"dice_by_threshold_{where}", draw_dice_by_threshold(result))
            paths += save(folder / f"dice_by_lesion_size_{where}", draw_dice_by_size(result))
        paths += save(folder / f"precision_recall_{protocol.name}", draw_precision_recall(by_protocol))
    return paths


def choose_samples(result: Result, source: MapSource) -> Iterator[Sample]:
    """Two scans of each data set: those a third and two thirds up the list by lesion volume, not the best ones.

    The slice is the one with most truth.
    """
    protocol = result.protocol
    for (dataset, _), stored in result.stored.items():
        threshold = result.counts[dataset, result.method].oracle().threshold
        if np.isnan(threshold):
            continue
        drawn = [scan for scan in stored if scan.has_truth and scan.case.flair]
        by_volume = sorted(((int(scan.load().truth.sum()), scan) for scan in drawn), key=lambda pair: pair[0])
        ordered = [scan for voxels, scan in by_volume if voxels]
        places = [len(ordered) * part // (SAMPLES + 1) for part in range(1, SAMPLES + 1)]
        for scan in [ordered[place] for place in places] if len(ordered) > SAMPLES else ordered:
            loaded = scan.load()
            truth, mask = loaded.truth, loaded.mask_at(protocol, threshold)
            flair = protocol.cut(protocol.prepare(source.labelled(scan.case, protocol)).scan.flair.array)
            z = int(truth.sum(axis=(0, 1)).argmax())
            yield Sample(dataset_name(dataset), scan.case.subject, flair[:, :, z], mask[:, :, z], truth[:, :, z])


def dice_by_size(result: Result, dataset: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Dice of the cohort's lesions of each size in `SIZES_ML`, and how many lesions of that size there are.

    A found component that touches lesions belongs to the one it shares most voxels with; a wholly false one to the
    size class of its own volume. So the classes' true, false and missed voxels add up to the cohort's. NaN where a
    class has neither lesions nor false finds.
    """
    n_classes = len(SIZES_ML) - 1
    true, false, drawn, lesions = (np.zeros(n_classes, np.int64) for _ in range(4))
    threshold = result.counts[dataset, result.method].oracle().threshold
    for scan in result.stored[dataset, result.method]:
        if not scan.has_truth or np.isnan(threshold):
            continue
        loaded = scan.load()
        truth, mask = loaded.truth, loaded.mask_at(result.protocol, threshold)
        voxel_ml = float(np.prod(scan.spacing_mm)) / 1000.0
        truth_labels, truth_sizes = label_components(truth)
        found_labels, found_sizes = label_components(mask)
        classes = _class_of(truth_sizes * voxel_ml)
        np.add.at(drawn, classes[1:], truth_sizes[1:])
        np.add.at(lesions, classes[1:], 1)
        shared = mask & truth
        np.add.at(true, classes[truth_labels[shared]], 1)
        owners = _owners(found_labels[shared], truth_labels[shared], found_sizes.size)
        of_found = np.where(owners > 0, classes[owners], _class_of(found_sizes * voxel_ml))
        np.add.at(false, of_found[found_labels[mask & ~truth]], 1)
    whole = true + false + drawn
    return np.divide(2.0 * true, whole, out=np.full(n_classes, np.nan), where=whole > 0), lesions


def draw_inputs(samples: Sequence[Sample], protocol: Protocol) -> Figure:
    """Figure 2: slices as the method gets them, and the same with the truth's outline."""
    figure, axes = picture_axes(2, len(samples))
    for column, sample in enumerate(samples):
        _show(axes[0][column], sample.flair)
        _show(axes[1][column], sample.flair)
        axes[1][column].contour(as_shown(sample.truth), [0.5], colors=TRUTH_COLOUR, linewidths=1.0)
        axes[0][column].set_title(f"{sample.dataset}\n{sample.scan}", fontsize=8)
    _name_rows(axes, ("input", "truth"))
    figure.suptitle(f"Samples, {protocol.name}", fontsize=9)
    return figure


def draw_results(samples: Sequence[Sample], result: Result) -> Figure:
    """Figure 3: input, mask at the threshold that is best for the data set, truth."""
    figure, axes = picture_axes(3, len(samples))
    for column, sample in enumerate(samples):
        _show(axes[0][column], sample.flair)
        _show(axes[1][column], sample.mask.astype(np.float32))
        _show(axes[2][column], sample.truth.astype(np.float32))
        axes[0][column].set_title(f"{sample.dataset}\n{sample.scan}", fontsize=8)
    _name_rows(axes, ("input", "found (oracle)", "truth"))
    figure.suptitle(f"{result.method} by {result.protocol.name},\nat each data set's oracle threshold", fontsize=9)
    return figure


def draw_precision_recall(results: Sequence[Result]) -> Figure:
    """Precision against recall, a panel a data set, a line a method."""
    datasets = list(dict.fromkeys(dataset for result in results for dataset, _ in result.counts))
    figure, axes = _panels(len(datasets))
    for axis, dataset in zip(axes, datasets, strict=True):
        shown = [
            (result, result.counts[dataset, result.method])
            for result in results
            if (dataset, result.method) in result.stored
        ]
        for (result, counts), colour, dashes in zip(shown, _cycle(PRINT_COLOURS), _cycle(PRINT_DASHES), strict=False):
            if counts.positives:
                precision, recall = precision_recall(counts)
                _line(axis, recall, precision, colour, dashes, result.method)
        axis.set(title=dataset_name(dataset), xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        axis.legend(fontsize=7, frameon=False)
    return figure


def draw_dice_by_threshold(result: Result) -> Figure:
    """Dice of the cohort against the threshold, before and after the component filter."""
    figure, axes = _panels(len(result.stored))
    for axis, (dataset, _) in zip(axes, result.stored, strict=True):
        counts = result.counts[dataset, result.method]
        axis.set(title=dataset_name(dataset), xlabel=f"threshold on {result.method}", ylabel="Dice", ylim=(0, 1))
        if not counts.positives:
            continue
        thresholds, before, after = (counts.tried or counts).dice_curves()
        marked = np.isfinite(thresholds) & (thresholds >= counts.minimum) & (thresholds <= counts.maximum)
        _line(axis, thresholds[marked], before[marked], PRINT_COLOURS[0], PRINT_DASHES[1], "before the filter")
        _line(axis, thresholds[marked], after[marked], PRINT_COLOURS[1], PRINT_DASHES[0], "after the filter")
        oracle = counts.oracle()
        axis.plot(oracle.threshold, oracle.dice, "o", color="black", markersize=4, label=f"oracle {oracle.dice:.3f}")
        axis.legend(fontsize=7, frameon=False)
    figure.suptitle(f"{result.method} by {result.protocol.name}", fontsize=9)
    return figure


def draw_dice_by_size(result: Result) -> Figure:
    """Dice by lesion size at the oracle threshold, with the number of lesions of each size."""
    figure, axes = _panels(len(result.stored))
    names = [f"{low:g} to {high:g}" for low, high in pairwise(SIZES_ML[:-1])]
    names.append(f"{SIZES_ML[-2]:g} and more")
    for axis, (dataset, _) in zip(axes, result.stored, strict=True):
        dice, lesions = dice_by_size(result, dataset)
        axis.bar(range(len(dice)), np.nan_to_num(dice), color=PRINT_COLOURS[0], edgecolor="black", linewidth=0.6)
        for place, (value, count) in enumerate(zip(dice, lesions, strict=True)):
            axis.text(place, np.nan_to_num(value) + 0.02, f"{count}", ha="center", fontsize=7)
        axis.set_xticks(range(len(dice)), names, fontsize=7, rotation=30, ha="right")
        axis.set(title=dataset_name(dataset), xlabel="lesion, ml", ylabel="Dice", ylim=(0, 1.05))
    figure.suptitle(f"{result.method} by {result.protocol.name};\nnumbers: lesions of that size", fontsize=9)
    return figure


def _class_of(volumes_ml: NDArray) -> NDArray[np.int64]:
    return np.searchsorted(np.array(SIZES_ML[1:-1]), volumes_ml, side="right")


def _owners(found: NDArray, lesion: NDArray, n_found: int) -> NDArray[np.int64]:
    """For each found component the lesion that it shares most voxels with, 0 for none."""
    owners = np.zeros(n_found, np.int64)
    if found.size:
        pairs, counts = np.unique(np.stack([found, lesion]).astype(np.int64), axis=1, return_counts=True)
        order = np.argsort(counts, kind="stable")  # the largest share is written last
        owners[pairs[0, order]] = pairs[1, order]
    return owners


def _line(axis: Axes, x: NDArray, y: NDArray, colour: str, dashes: Any, label: str) -> None:
    kept = _visible(x, y)
    axis.plot(x[kept], y[kept], color=colour, linestyle=dashes, linewidth=1.4, label=label)


def _visible(x: NDArray, y: NDArray) -> NDArray[np.bool_]:
    """The points of a curve that fall onto another spot of a fine raster than the one before; the last one stays."""
    if len(x) == 0:
        return np.zeros(0, np.bool_)
    spread = [max(float(values.max() - values.min()), 1e-12) for values in (x, y)]
    spots = np.stack([np.round(values / side * RASTER) for values, side in zip((x, y), spread, strict=True)])
    kept = np.append(True, (spots[:, 1:] != spots[:, :-1]).any(axis=0))
    kept[-1] = True
    return kept


def _cycle(items: Sequence[Any]) -> Iterator[Any]:
    while True:
        yield from items


def as_shown(array: NDArray) -> NDArray:
    """(x, y) in RAS+ -> rows from bottom to top, the patient's right on the left."""
    return array[::-1].T


def _show(axis: Axes, array: NDArray[np.float32]) -> None:
    low, high = float(array.min()), float(np.percentile(array, 99.8)) if array.any() else 1.0
    high = high if high > low else low + 1.0
    axis.imshow(as_shown(array), cmap="gray", origin="lower", vmin=low, vmax=high, interpolation="nearest")


def picture_axes(rows: int, columns: int) -> tuple[Figure, Any]:
    """A figure for pictures, and its axes (rows, columns)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 * columns + 0.5, 1.5 * rows + 0.8), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
    return figure, axes


def _name_rows(axes: Any, names: Sequence[str]) -> None:
    for row, name in zip(axes, names, strict=True):
        row[0].set_ylabel(name, fontsize=8)


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = min(n, 4)
    rows = -(-n // columns)
    figure = Figure(figsize=(3.4 * columns, 3.1 * rows + 0.3), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axis in axes[n:]:
        axis.remove()
    return figure, axes[:n]


def file_name(name: str) -> str:
    """A method's or data set's name as part of a file's: METHOD=FOLDER has the folder's bars in it."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)


def save(path: Path, figure: Figure) -> list[Path]:
    """PNG and SVG, without a date, so that the same results give the same files."""
    import matplotlib

    written = []
    with (
        matplotlib.rc_context({"svg.hashsalt": "flairline", "svg.fonttype": "none"}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of a name in letters that it lacks
        for suffix in ("png", "svg"):
            content = io.BytesIO()
            options: dict[str, Any] = {"metadata": {"Date": None}} if suffix == "svg" else {"dpi": 150}
            figure.savefig(content, format=suffix, **options)
            target = path.with_name(f"{path.name}.{suffix}")
            write_bytes(target, content.getvalue())
            written.append(target)
    return written
