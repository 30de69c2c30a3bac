"""What your Dice is made of: one field of a protocol after the other is turned, and everything is judged again.

The second table walks from the protocol to Baur et al.'s post-processing, step by step: how much of the difference
between two papers is post-processing, for one and the same method.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flairline import registry
from flairline.benchmarking.judge import Result, count
from flairline.benchmarking.plan import Plan
from flairline.evaluation.protocols import Protocol, load
from flairline.imaging.components import ComponentRule
from flairline.io.files import write_text
from flairline.io.tables import csv_of, markdown_text
from flairline.postprocess.maps import MapRule
from flairline.types import Progress

Change = Callable[[Protocol], Protocol]


@dataclass(frozen=True)
class AblationRow:
    """Method, data set, what was turned to what, and the numbers; `dice_change` is against the protocol as it is."""

    method: str
    dataset: str
    field: str
    value: str
    dice: float
    dice_change: float
    auprc: float
    auroc: float
    n_scans: int
    failed: int


def variations(base: Protocol) -> Iterator[tuple[str, str, Protocol]]:
    """Field, value and protocol, for every variation that differs from the protocol as it is."""
    yield "as it is", base.name, base
    for field_name, value, change in _CHANGES:
        varied = replace(change(base), name=base.name)
        if varied != base:
            yield field_name, value, varied


def walk_to_baur(base: Protocol) -> Iterator[tuple[str, str, Protocol]]:
    """From a protocol to Baur et al.'s post-processing on the same grid, one step added to the other."""
    baur = load("baur")
    yield "as it is", base.name, base
    steps: tuple[tuple[str, Change], ...] = (
        ("positive scores only", lambda p: replace(p, maps=replace(p.maps, positive_only=True))),
        ("+ eroded brain", lambda p: _with_maps(p, erode_brain_voxels=_eroded_on(p, baur))),
        ("+ hyper-intensity prior", lambda p: _with_maps(p, prior_quantile=baur.maps.prior_quantile)),
        ("+ median filter", lambda p: _with_maps(p, median_voxels=baur.maps.median_voxels)),
        ("+ components of up to 7 voxels removed instead", lambda p: replace(p, components=baur.components)),
    )
    protocol = base
    for name, change in steps:
        protocol = replace(change(protocol), name=base.name)
        yield "post-processing", name, protocol
    if base.needs_sri24:
        yield "post-processing", "baur (its own grid, resize, intensities and thresholds too)", baur


def run(plan: Plan, protocol: Protocol, progress: Progress) -> tuple[list[AblationRow], list[AblationRow]]:
    """Both tables for every source of a plan: fields turned, and the walk to Baur et al.'s post-processing.

    Every variation's stored scores are deleted when it is counted.
    """
    tables: list[list[AblationRow]] = []
    for listed in (list(variations(protocol)), list(walk_to_baur(protocol))):
        rows: list[AblationRow] = []
        for source in plan.sources:
            base: dict[str, float] = {}
            for number, (field_name, value, varied) in enumerate(listed, 1):
                progress(f"{source.name}: {field_name} = {value}", number, len(listed))
                folder = plan.work / "ablation"
                result = count(plan.cases, source, varied, folder, jobs=plan.jobs, seed=plan.seed)
                rows += _rows(result, field_name, value, base)
                shutil.rmtree(folder, ignore_errors=True)
        tables.append(rows)
    return tables[0], tables[1]


def write(folder: Path, protocol: Protocol, rows: Sequence[AblationRow], walk: Sequence[AblationRow]) -> None:
    """Write FOLDER/{dice,postprocessing}.{csv,md}. Raises `OutputError`."""
    texts = {
        "dice": f"What your Dice is made of: the protocol {protocol.name}, one field turned at a time.",
        "postprocessing": f"How much is post-processing: from {protocol.name} to that of Baur et al., step by step.",
    }
    for name, table in (("dice", rows), ("postprocessing", walk)):
        write_text(folder / f"{name}.csv", csv_of(AblationRow, table))
        write_text(folder / f"{name}.md", _markdown(texts[name], table))


def _rows(result: Result, field_name: str, value: str, base: dict[str, float]) -> Iterator[AblationRow]:
    metrics = {name: registry.load("metrics", name) for name in ("dice_oracle", "auprc", "auroc")}
    for (dataset, method), counts in result.counts.items():
        dice, auprc, auroc = (metric(counts=counts) for metric in metrics.values())
        base.setdefault(dataset, dice)
        failed = sum(scan.startswith(f"{dataset}/") for scan, _ in result.failures)
        change = dice - base[dataset]
        yield AblationRow(method, dataset, field_name, value, dice, change, auprc, auroc, counts.n_scans, failed)


def printed(rows: Sequence[AblationRow]) -> tuple[list[str], list[list[str]]]:
    """Columns and cells as people read them."""
    head = ["method", "data set", "field", "value", "Dice", "change", "AUPRC", "AUROC", "scans", "failed"]
    lines = []
    for row in rows:
        numbers = [f"{row.dice:.4f}", f"{row.dice_change:+.4f}", f"{row.auprc:.4f}", f"{row.auroc:.4f}"]
        lines.append([row.method, row.dataset, row.field, row.value, *numbers, str(row.n_scans), str(row.failed)])
    return head, lines


def _markdown(title: str, rows: Sequence[AblationRow]) -> str:
    notes = (
        "Dice is that of the cohort at the threshold that is best on the labels it is judged by, but where the field is"
        " the threshold itself. A change of zero means that the field does not matter for these scans: a truth that was"
        " never interpolated has no values between 0 and 1, and brains that came as files were not extracted."
    )
    return f"**{title}**\n\n{markdown_text(*printed(rows))}\n\n{notes}\n"


def _with_maps(protocol: Protocol, **fields: object) -> Protocol:
    return replace(protocol, maps=replace(protocol.maps, **fields))  # type: ignore[arg-type]


def _eroded_on(protocol: Protocol, baur: Protocol) -> int:
    """As many layers as span the same millimetres on this protocol's grid as on Baur et al.'s."""
    side = protocol.in_plane or 240
    return round(baur.maps.erode_brain_voxels * side / (baur.in_plane or side))


def _components(protocol: Protocol, min_voxels: int) -> Protocol:
    return replace(
        protocol, components=ComponentRule(min_voxels, protocol.components.connectivity), min_component_ml=None
    )


_CHANGES: tuple[tuple[str, str, Change], ...] = (
    *(("truth at", f"> {above}", lambda p, above=above: replace(p, truth_above=above)) for above in (0.4, 0.5, 0.9)),
    ("labels", "merged before", lambda p: replace(p, merge_labels=True)),
    ("labels", "merged after", lambda p: replace(p, merge_labels=False)),
    ("slices", "all", lambda p: replace(p, slices=None)),
    ("slices", "15 to 124", lambda p: replace(p, slices=(15, 125) if p.needs_sri24 else p.slices)),
    ("slices", "84 to 87", lambda p: replace(p, slices=(84, 88) if p.needs_sri24 else p.slices)),
    ("grid", "the scan's own", lambda p: replace(p, in_plane=None)),
    ("grid", "128 x 128", lambda p: replace(p, in_plane=128)),
    ("grid", "224 x 224", lambda p: replace(p, in_plane=224)),
    ("voxels", "all", lambda p: replace(p, brain_only=False)),
    ("voxels", "the brain's", lambda p: replace(p, brain_only=True)),
    ("filter", "after the search", lambda p: replace(p, chosen_before_filter=True)),
    ("filter", "inside the search", lambda p: replace(p, chosen_before_filter=False)),
    ("thresholds tried", "100", lambda p: replace(p, n_thresholds=100)),
    ("thresholds tried", "all", lambda p: replace(p, n_thresholds=None, chosen_before_filter=_chosen(p))),
    ("smallest component", "none removed", lambda p: _components(p, 0)),
    ("smallest component", "8 voxels", lambda p: _components(p, 8)),
    ("smallest component", "20 voxels", lambda p: _components(p, 20)),
    ("smallest component", "0.01 ml", lambda p: replace(p, min_component_ml=0.01)),
    ("smallest component", "0.05 ml", lambda p: replace(p, min_component_ml=0.05)),
    *(
        (
            "connectivity",
            str(neighbours),
            lambda p, neighbours=neighbours: replace(p, components=replace(p.components, connectivity=neighbours)),
        )
        for neighbours in (6, 18, 26)
    ),
    ("resize", "by index", lambda p: replace(p, resize="index")),
    ("resize", "linear", lambda p: replace(p, resize="linear") if p.in_plane else p),
    ("resize", "cubic spline", lambda p: replace(p, resize="spline") if p.in_plane else p),
    ("integer cast", "on", lambda p: replace(p, legacy_integer=True)),
    ("integer cast", "off", lambda p: replace(p, legacy_integer=False)),
    ("strip on", "FLAIR", lambda p: replace(p, strip_on="flair")),
    ("strip on", "T1", lambda p: replace(p, strip_on="t1")),
    ("threshold", "label-free: brightest 2 % of the brain", lambda p: _with_maps(p, label_free_quantile=0.98)),
    ("threshold", "label-free: brightest 5 % of the brain", lambda p: _with_maps(p, label_free_quantile=0.95)),
    ("threshold", "oracle", lambda p: _with_maps(p, label_free_quantile=None)),
    ("map", "as it is, without any step", lambda p: replace(p, maps=MapRule())),
)


def _chosen(protocol: Protocol) -> bool | None:
    """With all thresholds instead of some, the filter keeps the place it had in the search."""
    before = protocol.n_thresholds is not None
    return before if protocol.chosen_before_filter is None else protocol.chosen_before_filter
