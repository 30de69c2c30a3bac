"""Peak memory of a whole `flairline segment` on one raw pair, all of its processes together.

    FLAIRLINE_DATA=... python -m bench.segment_memory [--quick] [options of segment]

takes mslub_raw/patient19_study2 (with `--quick` a coarse, stripped phantom, so that no data is needed), adds the
options given (for example `--brain robex --method training-free`, which need no torch), and ends with one JSON line.
Memory is the sum over the process and its descendants of their proportional share (PSS), looked at every 50 ms, so
pages that they share count once.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

EVERY_SECONDS = 0.05


def main() -> None:
    """Run, look, print."""
    options = [word for word in sys.argv[1:] if word != "--quick"]
    quick = len(options) < len(sys.argv) - 1
    folder = Path(os.environ.get("FLAIRLINE_DATA", ".")) / "mslub_raw" / "patient19_study2"
    with tempfile.TemporaryDirectory() as out:
        if quick:
            folder, options = quick_pair(Path(out) / "phantom"), ["--brain", "none", *options]
        images = [str(folder / "flair.nii.gz"), "--t1", str(folder / "t1.nii.gz")]
        command = [sys.executable, "-c", "from flairline.cli.main import main; main()", "segment", *images, "-o", out]
        begun = time.perf_counter()
        # Into a file: a pipe that nobody empties would stop the run once it is full.
        with (Path(out) / "said.txt").open("w+", encoding="utf-8") as said:
            process = subprocess.Popen([*command, *options], stdout=said, stderr=subprocess.STDOUT)
            peak, largest = _watch(psutil.Process(process.pid), process)
            said.seek(0)
            lines = said.read().strip().splitlines()
        if process.returncode != 0:
            sys.exit(f"bench.segment_memory: {(lines or ['it said nothing'])[-1]}")
    print(
        json.dumps(
            {
                "options": options,
                "peak_gb": peak / 1e9,
                "peak_of_largest_process_gb": largest / 1e9,
                "seconds": time.perf_counter() - begun,
            }
        )
    )


def quick_pair(folder: Path) -> Path:
    """The folder of a stripped phantom's FLAIR and T1 of 4 mm."""
    from flairline.datasets.phantom import Dataset

    (case,) = Dataset(folder, subjects=1, spacing_mm=4.0).cases()
    assert case.flair is not None
    return case.flair.parent


def _watch(root: psutil.Process, process: subprocess.Popen) -> tuple[int, int]:
    """Most bytes at one time of all processes together, and of one alone."""
    peak = largest = 0
    while process.poll() is None:
        sizes = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    sizes.append(one.memory_full_info().pss)
        peak, largest = max(peak, sum(sizes)), max(largest, *sizes, 0)
        time.sleep(EVERY_SECONDS)
    return peak, largest


if __name__ == "__main__":
    main()
