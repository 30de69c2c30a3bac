"""Time and size of the pages: a scan's report on top of segmentation, and the page of a cohort of a thousand.

    python -m bench.report [--quick]

With `--quick` scan and cohort are small: that it runs is checked, nothing is measured. Ends with one JSON line. Every
time is that of a fresh process, imports included: on the clock, and what the process itself took (`cpu`), which other
work on the machine does not lengthen. `torch`: whether it was loaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

N_SCANS, QUICK_N_SCANS = 1000, 20
SHAPE, QUICK_SHAPE = (182, 218, 182), (46, 55, 46)


def scan_report(folder: Path, shape: tuple[int, int, int]) -> dict[str, float | bool]:
    """Seconds and bytes of one report of a 1 mm scan with a noisy brain, after segmentation has loaded its modules."""
    from flairline import segmentation as segment
    from flairline.imaging.measure import lesions_of
    from flairline.summary import Summary
    from flairline.types import Mask, Scan, Space, Threshold, Volume

    spacing_mm = SHAPE[0] / shape[0]
    space = Space(shape, np.diag([*[spacing_mm] * 3, 1.0]))
    ras = (np.indices(shape) - np.reshape(shape, (3, 1, 1, 1)) / 2) * spacing_mm
    brain = ((ras / np.reshape((68, 85, 70), (3, 1, 1, 1))) ** 2).sum(axis=0) <= 1
    rng = np.random.default_rng(1)
    flair = (rng.normal(100, 9, shape) + 60 * (np.linalg.norm(ras - 20, axis=0) < 12)) * brain
    score = np.zeros(shape, np.float32)
    score[brain] = flair[brain].argsort().argsort() / brain.sum()
    mask = Mask(score >= 0.98, space)
    scan = Scan.of("sub-bench", Volume(flair.astype(np.float32), space), Mask(brain, space))
    summary = Summary(subject="sub-bench").measured(mask, scan.brain, lesions_of(mask, scan.brain))
    found = segment.Found(scan, Volume(score, space), mask, Threshold(0.98, "given", "user"), summary, mask)
    started, busy = time.perf_counter(), time.process_time()
    from flairline.report.scan_page import write_page

    write_page(found, folder)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - busy
    size = (folder / "report.html").stat().st_size
    times = {"scan_seconds": round(seconds, 2), "scan_cpu_seconds": round(cpu_seconds, 2)}
    return {**times, "scan_bytes": size, "torch": "torch" in sys.modules}


def make_cohort(out: Path, thumbnail: bytes, n_scans: int) -> None:
    """So many summaries, thumbnails (no two alike) and empty pages."""
    from flairline.io.files import write_json

    rng = np.random.default_rng(2)
    for i in range(n_scans):
        lesions = [{"volume_ml": float(v), "centre_mm": [1.0, 2.0, 3.0], "side": "left"} for v in rng.random(20)]
        summary = {
            "subject": f"sub-{i:04d}",
            "method": "histeq",
            "site": f"site {i % 9}",
            "lesion_volume_ml": float(rng.lognormal(1.5, 0.8)),
            "n_lesions": len(lesions),
            "lesions": lesions,
            "brain_volume_ml": float(rng.normal(1150, 90)),
            "threshold": {"value": float(rng.normal(0.98, 0.001)), "rule": "quantile", "chosen_on": "this scan"},
            "qc": {"flags": [], "figures": {"noise": float(rng.random()), "atlas_overlap": float(rng.random())}},
        }
        folder = out / summary["subject"]
        write_json(folder / "summary.json", summary)
        (folder / "thumbnail.webp").write_bytes(thumbnail + i.to_bytes(2, "little"))
        (folder / "report.html").write_text("")


def cohort_page(out: Path) -> dict[str, float]:
    """Seconds and bytes of the cohort's page."""
    started, busy = time.perf_counter(), time.process_time()
    from flairline.report.collect import write_cohort

    page = write_cohort(out)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - busy
    times = {"cohort_seconds": round(seconds, 2), "cohort_cpu_seconds": round(cpu_seconds, 2)}
    return {**times, "cohort_bytes": page.stat().st_size}


def main() -> None:
    """Run each part in its own process and print what they measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small scan and cohort: seconds")
    parser.add_argument("--part", nargs=2, metavar=("PART", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        part, place = given.part
        shape = QUICK_SHAPE if given.quick else SHAPE
        print(json.dumps(scan_report(Path(place), shape) if part == "scan" else cohort_page(Path(place))))
        return
    n_scans = QUICK_N_SCANS if given.quick else N_SCANS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured = _run("scan", folder / "scan", given.quick)
        make_cohort(folder / "cohort", (folder / "scan" / "thumbnail.webp").read_bytes(), n_scans)
        measured |= _run("cohort", folder / "cohort", given.quick)
    print(json.dumps(measured))


def _run(part: str, folder: Path, quick: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.report", "--part", part, str(folder), *["--quick"] * quick]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
