"""How a cohort scales: reading its layout, memory of the parent, scans per minute by workers.

    FLAIRLINE_DATA=folder python -m bench.scale [--part layout|memory|workers] [--scans 8] [--quick]

- layout: empty BIDS trees of 1,000 and of 40,000 subjects are made (not timed) and read.
- memory: the peak of a parent that maps stand-in work (1 KB a scan) over 50 and over 5,000 scans with two workers.
- workers: raw pairs of FLAIRLINE_DATA/nichart under many subject names, segmented by `flairline bids` with one worker
  of one thread, two workers of one thread each, one worker of two threads, and two Dask workers on this machine.

Ends with one JSON line. `--quick` runs all of it on a few files and a coarse phantom: it runs, but measures nothing.
Workers are measured in the order above, so on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MAIN = "from flairline.cli.main import main; main()"
PARTS = ("layout", "memory", "workers")


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


def data_set(root: Path, scans: int, quick: bool) -> None:
    """Raw pairs under many subject names; with `quick` a stripped phantom of 4 mm."""
    if quick:
        from bench.segment_memory import quick_pair

        pairs = [quick_pair(root / "phantom")]
    else:
        pairs = sorted(path.parent for path in Path(os.environ["FLAIRLINE_DATA"]).glob("nichart/*/flair.nii.gz"))
    if not pairs:
        sys.exit("Wanted raw pairs in FLAIRLINE_DATA/nichart (SUBJECT/flair.nii.gz and t1.nii.gz), found none.")
    for number in range(scans):
        anat = root / "bids" / f"sub-{number:04d}" / "anat"
        anat.mkdir(parents=True)
        for image, suffix in (("flair", "FLAIR"), ("t1", "T1w")):
            shutil.copy(pairs[number % len(pairs)] / f"{image}.nii.gz", anat / f"sub-{number:04d}_{suffix}.nii.gz")


def scans_per_minute(root: Path, name: str, options: Sequence[str], threads: int, quick: bool) -> float:
    """Of a whole `flairline bids participant`, from its start to its end."""
    out = root / name
    command = [sys.executable, "-c", MAIN, "bids", str(root / "bids"), str(out), "participant", *options]
    if quick:
        command += ["--brain", "none", "--method", "histeq"]
    # FLAIRLINE_THREADS is shared among the workers of this machine.
    environment = {**os.environ, "FLAIRLINE_THREADS": str(threads), "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if ran.returncode:
        sys.exit(f"bench.scale, {name}: {ran.stderr.strip()}")
    scans = len(list((root / "bids").iterdir()))
    print(f"{name}: {scans / seconds * 60:.2f} scans a minute", flush=True)
    shutil.rmtree(out)
    return scans / seconds * 60


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


def workers(scans: int, quick: bool) -> dict[str, float]:
    """Scans a minute by who works, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data_set(root, scans, quick)
        found = {
            "one_worker": scans_per_minute(root, "one_worker", ["--nprocs", "1"], 1, quick),
            "two_workers": scans_per_minute(root, "two_workers", ["--nprocs", "2"], 2, quick),
            "one_worker_of_two_threads": scans_per_minute(root, "two_threads", ["--nprocs", "1"], 2, quick),
        }
        with dask_cluster(root / "dask") as cluster:
            if cluster is not None:
                options = ["--scheduler", cluster.scheduler_address]
                found["dask"] = scans_per_minute(root, "dask", options, 2, quick)
                found["dask_over_two_workers"] = found["dask"] / found["two_workers"]
    found["two_over_one"] = found["two_workers"] / found["one_worker"]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part; may be given again")
    parser.add_argument("--scans", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run?")
    given = parser.parse_args(arguments)
    measured: dict[str, Any] = {}
    for part in given.part or PARTS:
        if part == "layout":
            for subjects in (20, 40) if given.quick else (1000, 40_000):
                measured[f"layout_{subjects}_seconds"] = round(layout_seconds(subjects), 3)
        elif part == "memory":
            few, many = (50, 100) if given.quick else (50, 5000)
            peaks = {count: peak_mb(count) for count in (few, many)}
            measured |= {f"parent_mb_at_{count}": round(peak, 1) for count, peak in peaks.items()}
        else:
            found = workers(2 if given.quick else given.scans, given.quick)
            measured |= {name: round(value, 3) for name, value in found.items()}
        print(json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
