"""Seconds and memory of a synthetic person: FLAIR, T1, brain and truth at 1 mm, from drawing to the files.

    python -m bench.synthesis [--people 6] [--jobs 2] [--quick]

People of the atlas on board, healthy and with lesions. `seconds` is the wall's and `cpu_seconds` the processor's of one
process, of each person; `seconds_in_processes` what one takes where `--jobs` processes make all, their start included.
Wanted: at most 4 seconds a scan on two cores. Ends with one JSON line. `--quick` makes one person of either kind.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from flairline.cases.people import People, make_person, synthesise_people


def one_by_one(folder: Path, count: int, lesions: bool) -> dict[str, float]:
    """Median seconds of a person in this process, the atlas read."""
    people = People(folder, lesions=lesions)
    wall, busy = [], []
    for number in range(count):
        started, cpu = time.perf_counter(), time.process_time()
        make_person(people, number)
        wall.append(time.perf_counter() - started)
        busy.append(time.process_time() - cpu)
    return {"seconds": round(float(np.median(wall)), 2), "cpu_seconds": round(float(np.median(busy)), 2)}


def main() -> None:
    """Make people and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one person of either kind: seconds")
    given = parser.parse_args()
    count = 1 if given.quick else given.people
    measured: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        for kind, lesions in (("healthy", False), ("with lesions", True)):
            if not lesions:
                one_by_one(Path(name) / "warm", 1, False)  # reads the atlas
            measured[kind] = one_by_one(Path(name) / kind, count, lesions)
        if not given.quick:
            started = time.perf_counter()
            synthesise_people(People(Path(name) / "all", lesions=False), given.people, given.jobs)
            measured["seconds_in_processes"] = round((time.perf_counter() - started) / given.people, 2)
    measured["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
