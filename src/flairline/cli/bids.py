"""`flairline bids`."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer
from typer.core import TyperCommand

from flairline.cli.inputs import with_model
from flairline.cli.options import StripOption
from flairline.cli.show import STOPPED, leave, print_table, say, say_failures
from flairline.errors import InputError

if TYPE_CHECKING:
    from flairline.cohort.layout import Layout
    from flairline.cohort.participant import Ended, Run, Workers

MANY = ("--participant-label", "--participant_label", "--session-label", "--session_label")
"""Options that take one label or several: ``--participant-label 01 02``."""
LOG_SECONDS = 60
MOST_NOTES = 5


class Level(StrEnum):
    """A level of the BIDS-App convention."""

    participant = "participant"
    group = "group"


class ManyLabels(TyperCommand):
    """A command whose `MANY` options take several values, as BIDS-Apps have them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse after each label got its option's name before it."""
        return super().parse_args(ctx, spread(args))


def spread(words: list[str]) -> list[str]:
    """``--participant-label 01 02 -w x`` as ``--participant-label 01 --participant-label 02 -w x``."""
    many: list[str] = []
    option, labels = "", 0
    for word in [*words, "--"]:
        if word.startswith("-"):
            if option and not labels:  # as of an empty variable, which must not mean all of them
                msg = f"Wanted one label or several after {option}, got none. Leave it out for all."
                raise InputError(msg)
            option, labels = word if word in MANY else "", 0
            many += [] if option else [word]
        else:
            many += [option, word] if option else [word]
            labels += 1
    return many[:-1]


def command(
    bids_dir: Annotated[Path, typer.Argument(metavar="BIDS_DIR", help="The BIDS folder, as raw as it is.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the derivatives.")],
    level: Annotated[
        Level, typer.Argument(metavar="{participant,group}", help="Each scan, or what all of them give together.")
    ],
    participants: Annotated[
        list[str] | None,
        typer.Option("--participant-label", "--participant_label", help="Labels, with sub- or without; all if none."),
    ] = None,
    sessions: Annotated[
        list[str] | None,
        typer.Option("--session-label", "--session_label", help="Labels, with ses- or without; all if none."),
    ] = None,
    work: Annotated[
        Path | None, typer.Option("-w", "--work", "--work-dir", help="Preprocessing works here (default: OUT/work).")
    ] = None,
    keep_work: Annotated[bool, typer.Option("--keep-work", help="Keep what preprocessing made of each scan.")] = False,
    nprocs: Annotated[int, typer.Option("--nprocs", "-j", min=1, help="Processes to work in.")] = 1,
    mem_gb: Annotated[
        float | None, typer.Option("--mem-gb", "--mem_gb", min=1, help="Memory for all processes together.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="A Dask cluster: tcp://HOST:PORT, or slurm:FILE (TOML).")
    ] = None,
    filter_file: Annotated[
        Path | None,
        typer.Option("--bids-filter-file", help='Which files: JSON like {"flair": {"acquisition": "3d"}}.'),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop-on-first-crash", help="Begin no more scans once one failed.")] = False,
    reports_only: Annotated[
        bool, typer.Option("--reports-only", help="Write the pages again, of the results that are there.")
    ] = False,
    method: Annotated[str, typer.Option("--method", help="A method or recipe (flairline methods).")] = "default",
    model: Annotated[Path | None, typer.Option("--model", help="The model folder that the method reads.")] = None,
    threshold: Annotated[
        str | None, typer.Option("--threshold", help="0.95: a score; q0.98: a quantile of the brain.")
    ] = None,
    brain: Annotated[str, typer.Option("--brain", help="auto, deepbet, robex, hdbet, none (it is stripped).")] = "auto",
    strip_on: StripOption = "t1",
    truths: Annotated[
        Path | None, typer.Option("--truths", help="A BIDS folder of masks that raters drew, to be judged by.")
    ] = None,
) -> None:
    """A BIDS data set -> derivatives, resumable (participant); then tables and a page of all of them (group).

    Example: [bold]flairline bids DATA OUT participant --participant-label 01 02 --nprocs 2[/bold]
    """
    from flairline.cohort.layout import Filters, read_layout
    from flairline.cohort.participant import Run, Workers
    from flairline.postprocess.threshold import parse_threshold
    from flairline.preprocess.settings import BRAINS, preprocess_settings
    from flairline.segmentation import Settings

    if level is Level.group:
        if participants or sessions:
            say("flairline: the group is always all that OUT holds; its labels are not looked at.")
        _group(out)
        return
    if brain not in BRAINS:
        msg = f"Wanted --brain as one of {', '.join(BRAINS)}, got {brain!r}: one file cannot serve a whole data set."
        raise InputError(msg)
    if truths is not None and not truths.is_dir():
        msg = f"Wanted --truths as a BIDS folder with masks, but {truths} is no folder."
        raise InputError(msg)
    layout = read_layout(bids_dir, Filters.of(participants or (), sessions or (), filter_file))
    rule = parse_threshold(threshold) if threshold is not None else None
    prepare = preprocess_settings(brain, strip_on, "greedy", "mni", bias=False)
    asked = Run(
        bids_dir,
        out,
        work or out / "work",
        Settings(with_model(method, model), rule, preprocess=prepare),
        truths,
        keep_work,
    )
    _say_layout(layout)
    workers = Workers(nprocs, mem_gb, scheduler)
    for note in workers.notes:
        say(f"flairline: {note}.")
    _participant(layout, asked, workers, stop, reports_only)


def _participant(layout: Layout, asked: Run, workers: Workers, stop: bool, reports_only: bool) -> None:
    from flairline.cohort import participant

    ended = participant.write_pages(layout, asked) if reports_only else participant.run(layout, asked, workers)
    tally = Tally(len(layout.visits))
    stopped = False
    try:
        with closing(ended), showing(tally) as show:  # whoever leaves early ends the workers
            for scan in ended:
                tally.add(scan)
                show()
                if stop and scan.how == "failed":
                    break
    except KeyboardInterrupt:
        stopped = True
    print_tally(tally, asked.out)
    if stopped:
        say(f"flairline: stopped at {tally.ended} of {tally.total}. Run the same command again to go on.")
        raise typer.Exit(STOPPED)
    left = tally.total - tally.ended
    if reports_only and left:
        say(f"flairline: {left} of {tally.total} have no result to show. Run the same command without --reports-only.")
    nothing = reports_only and not tally.ended
    leave(tally.total if nothing else tally.counts["failed"] + tally.counts["elsewhere"], tally.total)


def _group(out: Path) -> None:
    from flairline.cohort.group import write_group

    for path in write_group(out):
        typer.echo(str(path))


def _say_layout(layout: Layout) -> None:
    notes = [f"{visit.name}, {note}" for visit in layout.visits for note in visit.notes]
    if layout.missing_sessions:
        notes.insert(0, f"No subject that was asked for has a session {', '.join(layout.missing_sessions)}")
    if layout.without_flair:
        notes.insert(0, f"Visits without a FLAIR: {len(layout.without_flair)}, {layout.without_flair[0]} the first")
    for note in notes[:MOST_NOTES]:
        say(f"{note}.")
    if len(notes) > MOST_NOTES:
        say(f"{len(notes) - MOST_NOTES} more such choices stand in the scans' states (OUT/state).")


@dataclass
class Tally:
    """How many scans ended how, and since when."""

    total: int
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("done", "resumed", "failed", "flagged", "elsewhere"), 0)
    )
    failures: dict[str, str] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    def add(self, scan: Ended) -> None:
        """One more scan ended."""
        self.counts[scan.how] += 1
        self.counts["flagged"] += scan.is_flagged
        if scan.how == "failed":
            self.failures[scan.name] = scan.state.error if scan.state is not None else ""
        elif scan.how == "elsewhere":
            self.failures[scan.name] = scan.words

    @property
    def ended(self) -> int:
        """Scans that ended, however."""
        return sum(self.counts[how] for how in ("done", "resumed", "failed", "elsewhere"))

    @property
    def per_minute(self) -> float:
        """Scans that were worked on in a minute; what was there already says nothing of how long the rest takes."""
        return (self.ended - self.counts["resumed"]) / max(time.monotonic() - self.begun, 1e-3) * 60

    @property
    def line(self) -> str:
        """Where the run is, in one line."""
        left = (self.total - self.ended) / self.per_minute if self.per_minute else float("nan")
        time_left = "" if left != left else f", {_duration(left)} left"
        return f"{self.ended}/{self.total}, {self.per_minute:.1f} scans/min{time_left}, {self.counts['failed']} failed"


class Show(Protocol):
    """Called after every scan."""

    def __call__(self) -> None:
        """Show where the run is."""


@contextmanager
def showing(tally: Tally) -> Iterator[Show]:
    """A bar on a terminal; in a log, one line a minute."""
    if not sys.stderr.isatty():
        over = threading.Event()

        def log() -> None:
            while not over.wait(LOG_SECONDS):  # by the clock: a scan may take longer than a minute
                say(tally.line)

        teller = threading.Thread(target=log, daemon=True)
        teller.start()
        try:
            yield lambda: None
        finally:
            over.set()
            teller.join()
        return
    import rich.progress
    from rich.console import Console

    columns = rich.progress.BarColumn(), rich.progress.TextColumn("{task.description}")
    with rich.progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"0/{tally.total}", total=tally.total)
        yield lambda: bar.update(task, completed=tally.ended, description=tally.line)


def print_tally(tally: Tally, out: Path) -> None:
    """The table at the end, and why each scan failed."""
    words = {
        "done": "made now",
        "resumed": "were there already",
        "failed": f"see {out / 'logs'}",
        "flagged": "of the first two; look at their pages",
        "elsewhere": "another process works on them",
    }
    lines = [[how, str(tally.counts[how]), words[how]] for how in words if how != "elsewhere" or tally.counts[how]]
    print_table(f"{tally.ended} of {tally.total} scans", ["", "scans", ""], lines)
    say_failures(tally.failures)
    if tally.counts["done"] + tally.counts["resumed"]:
        typer.echo("Research use only, not for diagnosis.")


def _duration(minutes: float) -> str:
    return f"{minutes / 60:.1f} h" if minutes >= 90 else f"{minutes:.0f} min"
