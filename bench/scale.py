"""How a cohort scales: reading its layout, memory of the parent, scans a minute by who works, the work folder, hours.

    FLAIRLINE_DATA=folder python -m bench.scale [--part PART] [--scans 8] [--repeats 3] [-o FILE.json] [--quick]
    python -m bench.scale --tables FILE.json docs/scale.md

- layout: empty BIDS trees of 1,000 and of 40,000 subjects are made (not timed) and read.
- memory: the peak of a parent that maps stand-in work (1 KB a scan) over 50 and over 5,000 scans with two workers.
- work: the most that the work folder and the temporary files of one scan in flight take, of a large raw pair.
- workers: raw pairs of FLAIRLINE_DATA/nichart under many subject names, segmented by `flairline bids` with one worker
  of one thread, two workers of one thread each, one worker of two threads, and two Dask workers on this machine; in
  turns, so that what changes over the hours changes for all, and the medians count.

Workers are compared by time, which other programs falsify: before each run the machine must be idle (it waits, then
refuses; `--anyway` goes on), and in each run what others took of the processors is measured; a run of which that is
more than a twentieth of one core is disturbed, and its time does not count. Seconds of the processor count always.

Prints JSON after each part. `-o` keeps it in a file, parts that were not run as they stood there, and `--tables` writes
the tables of docs/scale.md from that file. `--quick` runs all of it on a few files and a coarse phantom: it runs, but
measures nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

MAIN = "from flairline.cli.main import main; main()"
PARTS = ("layout", "memory", "work", "workers")
IDLE_SHARE = 0.05
"""Of one core: more than this, taken by others, disturbs a run."""
WAIT_SECONDS = 120
"""How long a run waits for the machine to be idle."""
MARK = "<!-- bench.scale {}: made by python -m bench.scale --tables -->"
COHORT, CORE_HOUR, CLUSTER = 40_000, 0.04, 200
"""Scans, price of an hour of one core, and workers of the table of hours and cost."""


def layout_seconds(subjects: int) -> float:
    """Seconds of reading an empty tree: a FLAIR, a T1 and a functional image a subject, every fourth with sessions."""
    from flairline.cohort.layout import read_layout

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(subjects):
            sessions = ("ses-1/", "ses-2/") if number % 4 == 0 else ("",)
            for session in sessions:
                name = f"sub-{number:05d}" + (f"_{session[:-1]}" if session else "")
                for kind, suffixes in (("anat", ("FLAIR", "T1w")), ("func", ("task-rest_bold",))):
                    place = root / f"sub-{number:05d}" / session / kind
                    place.mkdir(parents=True)
                    for suffix in suffixes:
                        (place / f"{name}_{suffix}.nii.gz").touch()
        started = time.perf_counter()
        visits = len(read_layout(root).visits)
        seconds = time.perf_counter() - started
    assert visits == subjects + -(-subjects // 4)
    return seconds


def stand_in(number: int) -> bytes:
    """Work of no time with a result of 1 KB."""
    return number.to_bytes(4, "big") * 256


def mapped(scans: int) -> float:
    """Peak in MB of this process, the parent of two workers over `scans` items."""
    from flairline import executor

    done = sum(outcome.error is None for outcome in executor.run(stand_in, range(scans), 2))
    assert done == scans
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_mb(scans: int) -> float:
    """Peak of a parent that did nothing else before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as parent:
        return parent.submit(mapped, scans).result()


def data_set(root: Path, scans: int, quick: bool, kind: str = "nichart") -> None:
    """Raw pairs under many subject names; with `quick` a stripped phantom of 4 mm."""
    if quick:
        from bench.segment_memory import quick_pair

        pairs = [quick_pair(root / "phantom")]
    else:
        pairs = sorted(path.parent for path in Path(os.environ["FLAIRLINE_DATA"]).glob(f"{kind}/*/flair.nii.gz"))
    if not pairs:
        sys.exit(f"Wanted raw pairs in FLAIRLINE_DATA/{kind} (SUBJECT/flair.nii.gz and t1.nii.gz), found none.")
    for number in range(scans):
        anat = root / "bids" / f"sub-{number:04d}" / "anat"
        anat.mkdir(parents=True)
        for image, suffix in (("flair", "FLAIR"), ("t1", "T1w")):
            shutil.copy(pairs[number % len(pairs)] / f"{image}.nii.gz", anat / f"sub-{number:04d}_{suffix}.nii.gz")


def bids_command(root: Path, out: Path, options: Sequence[str], quick: bool) -> list[str]:
    """`flairline bids ... participant`; quick, without a network."""
    command = [sys.executable, "-c", MAIN, "bids", str(root / "bids"), str(out), "participant", *options]
    return [*command, "--brain", "none", "--method", "histeq"] if quick else command


def environment_of(threads: int, scratch: Path) -> dict[str, str]:
    """The environment with so many threads for all workers, and nothing that says otherwise of a library."""
    from flairline.executor import LIBRARIES_VARIABLES, THREADS_VARIABLE

    kept = {name: value for name, value in os.environ.items() if name not in LIBRARIES_VARIABLES}
    return {**kept, THREADS_VARIABLE: str(threads), "TMPDIR": str(scratch)}


def work_mb(quick: bool) -> dict[str, float]:
    """The most MB that the work folder, and temporary files, took of one scan in flight, looked at every 20 ms."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data_set(root, 1, quick, "mslub_raw")
        (scratch := root / "tmp").mkdir()
        places, most = {"work_mb_a_scan": root / "work", "temporary_mb_a_scan": scratch}, dict[str, float]()
        command = bids_command(root, root / "out", ["-w", str(root / "work")], quick)
        run = subprocess.Popen(command, env=environment_of(1, scratch), stdout=subprocess.DEVNULL, stderr=None)
        while run.poll() is None:
            for name, place in places.items():
                most[name] = max(most.get(name, 0.0), megabytes(place))
            time.sleep(0.02)
    if run.returncode:
        sys.exit("bench.scale, work: flairline bids failed")
    return most


def megabytes(folder: Path) -> float:
    """What the files below a folder take, files that go meanwhile aside."""
    total = 0
    for parent, _, names in os.walk(folder):  # `rglob` of Python 3.11 ends where a folder goes meanwhile
        for name in names:
            with suppress(OSError):
                total += (Path(parent) / name).stat().st_blocks * 512
    return total / 1e6


@dataclass(frozen=True)
class Timed:
    """One run of a whole `flairline bids participant`, from its start to its end.

    Attributes
    ----------
    scans_per_minute
        Of the whole run: beginning to work counts.
    cpu_seconds_a_scan
        Of the processor, of all processes of the run together.
    others_cores
        Cores that other programs took meanwhile, on average.
    """

    scans_per_minute: float
    cpu_seconds_a_scan: float
    others_cores: float

    @property
    def disturbed(self) -> bool:
        """Whether the time does not count."""
        return self.others_cores > IDLE_SHARE


def busy_seconds() -> float:
    """Seconds that all cores together worked, since the machine was started."""
    times = psutil.cpu_times()
    waits = sum(getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
    return sum(times) - waits


def wait_until_idle(anyway: bool) -> None:
    """Wait for the machine to do nothing; leave where it does not come to that, or go on `anyway`."""
    end = time.monotonic() + (0 if anyway else WAIT_SECONDS)
    while True:
        before, begun = busy_seconds(), time.perf_counter()
        time.sleep(0.5 if anyway else 3)
        share = (busy_seconds() - before) / (time.perf_counter() - begun)
        if share <= IDLE_SHARE or anyway:
            return
        if time.monotonic() > end:
            load = os.getloadavg()[0]
            sys.exit(
                f"bench.scale: wanted an idle machine, but others work on {share:.2f} of its cores (load {load:.1f})."
                " Wait for them, or give --anyway: the run is then marked as disturbed."
            )


def own_seconds() -> float:
    """Seconds of the processor that this process took, those that it waited for, and those that it has now."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def timed(command: Sequence[str], threads: int, scratch: Path, scans: int) -> Timed:
    """Run a command over so many scans."""
    own, busy, begun = own_seconds(), busy_seconds(), time.perf_counter()
    ran = subprocess.run(command, env=environment_of(threads, scratch), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    own, busy = own_seconds() - own, busy_seconds() - busy
    if ran.returncode:
        sys.exit(f"bench.scale: {' '.join(command[3:])}: {ran.stderr.strip()}")
    return Timed(scans / seconds * 60, own / scans, max(0.0, busy - own) / seconds)


@contextmanager
def dask_cluster(scratch: Path) -> Iterator[Any]:
    """A Dask cluster of two workers of one thread each on this machine; None where Dask is not installed."""
    try:
        import dask
        from distributed import LocalCluster
    except ImportError:
        yield None
        return
    with (
        dask.config.set({"temporary-directory": str(scratch)}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
    ):
        yield cluster


WAYS: dict[str, tuple[tuple[str, ...], int]] = {
    "one_worker": (("--nprocs", "1"), 1),
    "two_workers": (("--nprocs", "2"), 2),
    "one_worker_of_two_threads": (("--nprocs", "1"), 2),
    "dask": ((), 2),
}
"""Who works: options, and threads, which the workers of this machine share."""


def one_run(root: Path, way: str, scans: int, quick: bool) -> Timed | None:
    """One run in one way; None where that needs Dask and there is none. What it wrote is removed."""
    options, threads = WAYS[way]
    (scratch := root / "tmp").mkdir(exist_ok=True)
    try:
        if way != "dask":
            return timed(bids_command(root, root / "out", options, quick), threads, scratch, scans)
        with dask_cluster(root / "dask") as cluster:
            if cluster is None:
                return None
            command = bids_command(root, root / "out", ["--scheduler", cluster.scheduler_address], quick)
            return timed(command, threads, scratch, scans)
    finally:
        shutil.rmtree(root / "out", ignore_errors=True)


def workers(scans: int, repeats: int, quick: bool, anyway: bool) -> dict[str, Any]:
    """Every way in turns, `repeats` times; medians of the runs that nobody disturbed, and all of the runs."""
    runs: dict[str, list[Timed]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data_set(root, scans, quick)
        for repeat in range(repeats):
            ways = list(WAYS)[repeat % len(WAYS) :] + list(WAYS)[: repeat % len(WAYS)]  # each is first at some time
            for way in ways:
                wait_until_idle(anyway or quick)
                if (run := one_run(root, way, scans, quick)) is not None:
                    runs.setdefault(way, []).append(run)
                    words = f"{run.scans_per_minute:.2f} scans a minute, {run.cpu_seconds_a_scan:.1f} s of a core each"
                    print(f"{way}: {words}{', disturbed' if run.disturbed else ''}", flush=True)
    return judged(runs, scans)


def judged(runs: dict[str, list[Timed]], scans: int) -> dict[str, Any]:
    """Medians and ratios of runs; NaN where no run was undisturbed."""
    speed = {way: median(run.scans_per_minute for run in of if not run.disturbed) for way, of in runs.items()}
    found: dict[str, Any] = {f"{way}_scans_per_minute": value for way, value in speed.items()}
    found |= {f"{way}_cpu_seconds_a_scan": median(run.cpu_seconds_a_scan for run in of) for way, of in runs.items()}
    found["two_over_one"] = speed["two_workers"] / speed["one_worker"]
    found["two_over_one_of_two_threads"] = speed["two_workers"] / speed["one_worker_of_two_threads"]
    if "dask" in speed:
        found["dask_over_two_workers"] = speed["dask"] / speed["two_workers"]
    found["seconds_a_scan"] = 60 / speed["one_worker"]
    found["scans"] = scans
    found["runs"] = {way: [asdict(run) for run in of] for way, of in runs.items()}
    found["disturbed_runs"] = sum(run.disturbed for of in runs.values() for run in of)
    return found


def median(values: Iterable[float]) -> float:
    """The median; NaN of nothing."""
    found = list(values)
    return statistics.median(found) if found else math.nan


def tables(measured: dict[str, Any]) -> dict[str, str]:
    """The tables of docs/scale.md, in Markdown, from what was measured."""
    return {"figures": figures_table(measured), "hours": hours_table(measured)}


def figures_table(measured: dict[str, Any]) -> str:
    """What was wanted beside what was measured."""
    from flairline.io.tables import markdown_text

    def text(name: str, form: str, factor: float = 1.0) -> str:
        value = measured.get(name)
        return "not measured yet" if value is None or value != value else form.format(value * factor)

    few, many = text("parent_mb_at_50", "{:.0f}"), text("parent_mb_at_5000", "{:.0f} MB")
    memory = f"{few} and {many}" if "parent_mb_at_50" in measured else few
    rows = [
        ("reading the layout of 1,000 subjects", "< 1 s", text("layout_1000_seconds", "{:.2f} s")),
        (
            "reading the layout of 40,000 subjects (50,000 visits, with functional images)",
            "< 30 s",
            text("layout_40000_seconds", "{:.1f} s"),
        ),
        ("peak memory of the parent at 50 and at 5,000 scans of stand-in work", "at most 100 MB apart", memory),
        ("the work folder of one scan in flight, at most", "<= 300 MB", text("work_mb_a_scan", "{:.1f} MB")),
        ("its temporary files beside that, at most", "", text("temporary_mb_a_scan", "{:.1f} MB")),
        ("two workers of one thread over one", ">= 1.8", text("two_over_one", "{:.2f}")),
        (
            "two workers of one thread over one worker of two threads",
            "> 1",
            text("two_over_one_of_two_threads", "{:.2f}"),
        ),
        ("two Dask workers over two local ones", ">= 0.85", text("dask_over_two_workers", "{:.2f}")),
        ("seconds a scan, one worker of one thread", "", text("seconds_a_scan", "{:.1f} s")),
        ("seconds of a core that a scan takes", "", text("one_worker_cpu_seconds_a_scan", "{:.1f} s")),
    ]
    return markdown_text(("what", "wanted", "measured"), rows)


def hours_table(measured: dict[str, Any]) -> str:
    """Hours and cost of a cohort, from the seconds of a scan by one worker of one thread, and from those of a core."""
    from flairline.io.tables import markdown_text

    ways = {
        "seconds_a_scan": "one worker of one thread, by the clock",
        "one_worker_cpu_seconds_a_scan": "seconds of a core only, as if nobody ever waited",
    }
    rows = []
    for name, what in ways.items():
        value = measured.get(name)
        if value is None or value != value:
            continue
        hours = COHORT * value / 3600
        rows.append((what, f"{value:.1f}", f"{hours:.0f}", f"{hours / CLUSTER:.1f} h", f"{hours * CORE_HOUR:.0f}"))
    header = ("a scan takes", "seconds", "hours of one core", f"with {CLUSTER} workers", f"at {CORE_HOUR} a core hour")
    return markdown_text(header, rows)


def with_tables(text: str, measured: dict[str, Any]) -> str:
    """A document whose tables, between the two marks of each, are made anew."""
    for name, table in tables(measured).items():
        begin, end = MARK.format(name), MARK.format(f"{name} ends")
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        if not rest or end not in rest:
            sys.exit(f"Wanted the marks of the table {name} in the document:\n{begin}\n{end}")
        text = f"{before}{begin}\n{table}\n{end}{after}"
    return text


def kept(path: Path, measured: dict[str, Any]) -> None:
    """Add to what a file holds; what was not measured as a number stays out."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(plain({**before, **measured}), indent=2) + "\n", encoding="utf-8")


def plain(content: Any) -> Any:
    """With three figures after the point, and null for NaN."""
    if isinstance(content, dict):
        return {name: plain(value) for name, value in content.items()}
    if isinstance(content, list):
        return [plain(value) for value in content]
    if isinstance(content, float):
        return None if content != content else round(content, 3)
    return content


def measured_part(part: str, given: argparse.Namespace) -> dict[str, Any]:
    """What one part finds."""
    if part == "layout":
        return {f"layout_{n}_seconds": layout_seconds(n) for n in ((20, 40) if given.quick else (1000, 40_000))}
    if part == "memory":
        return {f"parent_mb_at_{n}": peak_mb(n) for n in ((50, 100) if given.quick else (50, 5000))}
    if part == "work":
        return dict(work_mb(given.quick))
    scans, repeats = (2, 1) if given.quick else (given.scans, given.repeats)
    return workers(scans, repeats, given.quick, given.anyway)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part; may be given again")
    parser.add_argument("--scans", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3, help="of the workers, in turns")
    parser.add_argument("--anyway", action="store_true", help="measure workers although others work as well")
    parser.add_argument("-o", type=Path, metavar="FILE.json", help="keep what is measured here")
    parser.add_argument("--tables", type=Path, nargs=2, metavar=("FILE.json", "DOCUMENT"), help="write its tables")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run?")
    given = parser.parse_args(arguments)
    if given.tables:
        file, document = given.tables
        text = document.read_text(encoding="utf-8")
        document.write_text(with_tables(text, json.loads(file.read_text(encoding="utf-8"))), encoding="utf-8")
        return
    measured: dict[str, Any] = {}
    for part in given.part or PARTS:
        found = measured_part(part, given)
        measured |= found
        if given.o:
            kept(given.o, found)
        print(json.dumps(plain(measured)), flush=True)


if __name__ == "__main__":
    main()
