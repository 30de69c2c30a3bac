"""Tables, sentences and the figure of the zoo, drawn from its JSON: ``python -m studies.learned_tables docs/results``.

Writes RESULTS/zoo.md, RESULTS/zoo.png and .svg, and the tables as `studies.tables` has them, from
RESULTS/data/learned/*.json. What RESULTS/data/learned/notes.txt says of the run stands on the page, too.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flairline.benchmarking.paper import published
from flairline.io.files import write_bytes, write_json, write_text
from studies import tables
from studies.learned_results import NAN, Learned, read_results

COMMAND = "python -m studies.learned -o OUT --results docs/results"
FIRST, PUBLISHED_BY = "sound", "baur"
LINE = "histeq"
METRICS = ("dice_oracle", "auprc", "auroc")
AS_PUBLISHED = {"brats2015": "BraTS", "mslub": "MSLUB", "msseg2015": "MSSEG2015"}
TABLES = {"2": (("MSLUB", "MSSEG2015"), METRICS), "3": (("BraTS", "MSLUB", "WMH"), METRICS[:1])}
"""Table of the paper -> its data sets and metrics."""
FIGURE = (
    f"By the protocol `{FIRST}`. Lines need no training here and are those of all slices. A triangle was judged on few"
    " slices; a hollow mark had not converged, or too little was monitored to say; right of the grey line stands what"
    " reconstructs nothing."
)
BESIDE_PAPER = (
    f"Ours by the protocol `{PUBLISHED_BY}`, on the few scans above (BraTS: 2015) and after training on synthetic"
    " people, then the published value, on other training data and whole data sets: no two numbers of a cell are of the"
    ' same data. "-": there is none.'
)

Cells = tuple[list[str], list[list[str]]]
"""Columns and lines of a table."""


def write_tables(results: Path) -> list[Path]:
    """Write what can be drawn of the results that are there; nothing if there are none."""
    found = read_results(results / "data" / "learned")
    if not any(result.scores for result in found):
        return []
    made = {f"zoo_{protocol}": table(found, protocol) for protocol in _protocols(found)}
    made |= {f"zoo_table_{which}": paper_table(found, which) for which in TABLES}
    last = max(found, key=lambda result: result.date)
    for name, (columns, rows) in made.items():
        measured = {"command": COMMAND, "commit": last.commit, "date": last.date, "columns": columns, "rows": rows}
        write_json(results / "data" / f"{name}.json", measured)
    parts = [
        "# Every system on the same training data",
        "*For whoever asks what each system finds after training that anyone can repeat. [The headlines](index.md).*",
        sentences(found),
        *_notes(results),
        "![Oracle Dice against the reconstruction error on healthy slices](zoo.png)",
        FIGURE,
    ]
    for protocol in _protocols(found):
        head = f"## By the protocol `{protocol}`\n\nEach cell of a data set: oracle Dice, AUPRC, AUROC."
        parts += [head, _place(f"zoo_{protocol}")]
    for which in TABLES:
        parts += [f"## Table {which} of the paper\n\n{BESIDE_PAPER}", _place(f"zoo_table_{which}")]
    page = results / "zoo.md"
    write_text(page, "\n\n".join(parts) + "\n")
    write_text(page, tables.filled(page))
    return [page, *write_figure(results, found)]


def _notes(results: Path) -> list[str]:
    """What whoever ran it wrote of the machine and the run, RESULTS/data/learned/notes.txt, if there is one."""
    path = results / "data" / "learned" / "notes.txt"
    return [path.read_text(encoding="utf-8").strip()] if path.exists() else []


def _place(name: str) -> str:
    """Where `studies.tables` writes a table."""
    return f"<!-- table: data/{name}.json -->\n<!-- end -->"


def sentences(found: Sequence[Learned]) -> str:
    """Which beat `histeq` on the same slices, which did not, on what training."""
    learned = [result for result in found if result.family]
    lines = [
        "Every method that learns, trained on the same synthetic people (`python -m studies.learned`), which nobody"
        " needs a licence for, and judged on scans that it has never seen. Dice is at the threshold that is best on the"
        " labels it is judged by. What takes minutes a volume is judged on slices evenly spaced over each brain, beside"
        " the lines on the same slices. Training is short: what is written here says what a method gives after so"
        " much, not what it can.",
        "",
    ]
    for dataset, protocol in dict.fromkeys((s.dataset, s.protocol) for result in learned for s in result.scores):
        better = [result.method for result in learned if beats(result, found, LINE, dataset, protocol)]
        names = f": {', '.join(f'`{name}`' for name in better)}" if better else ""
        judged = sum(not math.isnan(result.value(dataset, protocol, result.slices, METRICS[0])) for result in learned)
        lines.append(f"- {dataset}, `{protocol}`: {len(better)} of {judged} beat `{LINE}`{names}.")
    late = [result.method for result in learned if result.convergence == "no"]
    untold = [result.method for result in learned if result.convergence == "unknown"]
    lines += [f"- Not converged when their time was up: {', '.join(f'`{name}`' for name in late)}."] if late else []
    lines += [f"- Too few validations to say: {', '.join(f'`{name}`' for name in untold)}."] if untold else []
    failed = [f"`{result.method}` on {failure}" for result in found for failure in result.failures]
    lines += [f"- Could not be judged: {'; '.join(failed)}"] if failed else []
    return "\n".join(lines)


def beats(result: Learned, found: Sequence[Learned], line: str, dataset: str, protocol: str) -> bool:
    """Whether its oracle Dice is above that of a line on the same slices."""
    other = next((there for there in found if there.method == line), None)
    where = (dataset, protocol, result.slices, METRICS[0])
    return other is not None and result.value(*where) > other.value(*where)


def table(found: Sequence[Learned], protocol: str) -> Cells:
    """One row a method and kind of slices: training, whether it converged, and its scores on each data set."""
    datasets = _datasets(found)
    columns = ["method", "slices", *datasets, "trained on", "preset", "minutes", "steps", "converged"]
    columns += ["error on healthy slices", "seconds a volume", "beats histeq on"]
    rows = []
    for result in sorted(found, key=lambda result: (bool(result.family), result.method)):
        for slices in dict.fromkeys(score.slices for score in result.scores):
            values = [[result.value(dataset, protocol, slices, metric) for metric in METRICS] for dataset in datasets]
            better = [
                name for name in datasets if slices == result.slices and beats(result, found, LINE, name, protocol)
            ]
            training = [result.trained_on or "-", result.preset or "-", number(result.seconds / 60, 1)]
            training += [str(result.steps or "-"), result.convergence]
            ends = [number(result.l1_healthy, 4), number(result.seconds_a_volume, 1), ", ".join(better) or "-"]
            cells = [", ".join(number(value) for value in three) for three in values]
            rows.append([f"`{result.method}`", slices, *cells, *training, *ends])
    return columns, rows


def paper_table(found: Sequence[Learned], which: str) -> Cells:
    """A table of the paper with a column for every system: ours, then the published value, "-" where there is none."""
    datasets, metrics = TABLES[which]
    known = {key: value for key, value in published.values().items() if key[0] == which}
    systems = {result.published_as or result.method: result for result in found}
    names = [*dict.fromkeys(key[1] for key in known), *(name for name in systems if not _in(known, name))]
    ours = {theirs: mine for mine, theirs in AS_PUBLISHED.items()}
    rows = []
    for dataset in datasets:
        for metric in metrics:
            cells = []
            for name in names:
                result, value = systems.get(name), known.get((which, name, dataset, metric), NAN)
                measured = NAN
                if result is not None:
                    measured = result.value(ours.get(dataset, dataset), PUBLISHED_BY, result.slices, metric)
                few = result is not None and result.slices != "all" and not math.isnan(measured)
                on = f" ({result.slices} slices)" if few and result is not None else ""
                cells.append(f"{number(measured)}{on} / {number(value)}")
            rows.append([dataset, metric, *cells])
    return ["data set", "metric", *names], rows


def number(value: float, digits: int = 3) -> str:
    """A number as people read it; "-" where there is none."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def write_figure(results: Path, found: Sequence[Learned]) -> list[Path]:
    """Oracle Dice against the reconstruction error on healthy slices, a panel a data set, the untrained as lines."""
    import io

    import matplotlib as mpl

    paths = []
    figure = draw(found)
    for suffix in ("png", "svg"):
        content = io.BytesIO()
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "learned"}):
            figure.savefig(content, format=suffix, dpi=110, metadata={"Date": None} if suffix == "svg" else None)
        write_bytes(results / f"zoo.{suffix}", content.getvalue())
        paths.append(results / f"zoo.{suffix}")
    return paths


def draw(found: Sequence[Learned]) -> Any:
    """The figure. A method without a reconstruction stands at the right, a triangle was judged on few slices, and a
    hollow mark has not converged, as far as can be said.
    """
    from matplotlib.figure import Figure

    from flairline.drawing.palette import PRINT_COLOURS, PRINT_DASHES

    datasets = _datasets(found)
    figure = Figure(figsize=(5.2 * len(datasets), 4.6), layout="constrained")
    learned = [result for result in found if result.family]
    errors = [result.l1_healthy for result in learned if not math.isnan(result.l1_healthy)]
    none_at = 1.25 * max(errors, default=1.0)
    for axes, dataset in zip(figure.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=True):
        lines = [result for result in found if not result.family]
        for result, colour, dashes in zip(lines, PRINT_COLOURS, PRINT_DASHES, strict=False):
            value = result.value(dataset, FIRST, "all", METRICS[0])
            axes.axhline(value, color=colour, linestyle=dashes, label=result.method)
        points = []
        for result in learned:
            error = none_at if math.isnan(result.l1_healthy) else result.l1_healthy
            value = result.value(dataset, FIRST, result.slices, METRICS[0])
            filled = "none" if result.convergence in ("no", "unknown") else "#46505c"
            mark = "o" if result.slices == "all" else "^"
            axes.plot(error, value, mark, color="#46505c", markerfacecolor=filled, markersize=5)
            points.append((error, value))
        leader = {"arrowstyle": "-", "color": "#9aa4ae", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
        right, patch = 1.16 * none_at, {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        for result, point, height in zip(learned, points, label_heights([y for _, y in points]), strict=True):
            axes.annotate(result.method, point, (right, height), fontsize=7, va="center", arrowprops=leader, bbox=patch)
        axes.set_xlim(0, 1.75 * none_at)
        axes.axvline((max(errors, default=1.0) + none_at) / 2, color="#c8cfd6", linewidth=0.8, ymax=0.97)
        axes.set(title=dataset, xlabel="mean error on healthy slices (right of the line: none)", ylabel="oracle Dice")
        axes.set_ylim(0, 1)
        axes.legend(fontsize=7, loc="upper left", ncols=2)
    return figure


def label_heights(values: Sequence[float], apart: float = 0.034) -> list[float]:
    """Heights of labels beside their points, in the points' order and at least so far apart, from 0 to 1."""
    heights, order = list(values), sorted(range(len(values)), key=lambda n: values[n])
    lowest = 0.0
    for number in order:
        heights[number] = lowest = max(values[number], lowest)
        lowest += apart
    highest = 1.0
    for number in reversed(order):
        heights[number] = highest = min(heights[number], highest)
        highest -= apart
    return heights


def _datasets(found: Sequence[Learned]) -> list[str]:
    return list(dict.fromkeys(score.dataset for result in found for score in result.scores))


def _protocols(found: Sequence[Learned]) -> list[str]:
    return list(dict.fromkeys(score.protocol for result in found for score in result.scores))


def _in(known: dict[tuple[str, str, str, str], float], name: str) -> bool:
    return any(method == name for _, method, _, _ in known)


if __name__ == "__main__":
    for written in write_tables(Path(sys.argv[1])):
        print(written)
