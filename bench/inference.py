"""Every method's seconds and peak memory for one volume, on the CPU and, where there is one, on a GPU.

The volume is a phantom of 240x240x155 voxels of 1 mm. Learned methods run at the preset `paper` (128 x 128); they are
trained for a moment on three phantoms first, because weights do not change what a volume costs. Every method runs in a
process of its own. `peak` is the process's highest memory, Python and libraries included, `scoring` how much of it came
after the scan was read and the method loaded; on a GPU, what torch allocated at most.

    python -m bench.inference [-o FOLDER] [--method NAME ...] [--preset paper] [--slices 16] [--patience 60] [--quick]

A learned method first scores `--slices` axial slices (one batch: the highest memory of a method that goes batch by
batch). If the volume would then take longer than `--patience` seconds, its seconds are those times brain slices over
`--slices`, and the row says "scaled". The residual method `--residual` is also timed at batches of 1, 8, 16 and 64
slices, two volumes at once: a volume fills two batches of 64, so where 64 gains nothing over 16, batches over slices of
several scans cannot pay. Ends with one JSON line. `--quick` runs the residual method and one without training on a
small volume at the preset `test`, in seconds: its numbers say nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

SHAPE, SPACING_MM, PRESET = (240, 240, 155), 1.0, "paper"
QUICK_SHAPE, QUICK_SPACING_MM, QUICK_PRESET = (60, 60, 40), 4.0, "test"
QUICK_BESIDE = "zscore"
LIMIT_MB = 4096
BATCHES = (1, 8, 16, 64)


def make_volume(folder: Path, given: argparse.Namespace) -> None:
    """The phantom on SRI24's grid: FOLDER/flair, t1 and brain.nii.gz, its brain in the middle."""
    shape, spacing_mm = (QUICK_SHAPE, QUICK_SPACING_MM) if given.quick else (SHAPE, SPACING_MM)
    import numpy as np

    from flairline.io.nifti import write_mask, write_volume
    from flairline.synthesis.phantom import phantom
    from flairline.types import Mask, Space, Volume

    scan, _, _ = phantom(0, spacing_mm)
    space = Space(shape, np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0]))
    inside = np.argwhere(scan.brain.array)
    middle = (inside.min(axis=0) + inside.max(axis=0)) // 2
    low = [int(centre) - side // 2 for centre, side in zip(middle, shape, strict=True)]

    def moved(array: Any) -> Any:
        target = np.zeros(shape, array.dtype)
        sides = list(zip(low, shape, array.shape, strict=True))
        source = tuple(slice(max(0, start), min(size, start + side)) for start, side, size in sides)
        place = tuple(
            slice(max(0, -start), max(0, -start) + s.stop - s.start)
            for (start, _, _), s in zip(sides, source, strict=True)
        )
        target[place] = array[source]
        return target

    folder.mkdir(parents=True, exist_ok=True)
    write_volume(folder / "flair.nii.gz", Volume(moved(scan.flair.array), space))
    assert scan.t1 is not None
    write_volume(folder / "t1.nii.gz", Volume(moved(scan.t1.array), space))
    write_mask(folder / "brain.nii.gz", Mask(moved(scan.brain.array), space))


def train(name: str, folder: Path, given: argparse.Namespace) -> None:
    """A model folder of the preset `paper` (`--quick`: `test`), trained for a moment on three phantoms of 4 mm."""
    from flairline import registry
    from flairline.datasets.phantom import Dataset
    from flairline.learning.data import TrainingData
    from flairline.learning.run import TrainingRun

    healthy = Dataset(folder.parent / "healthy", spacing_mm=4.0).healthy(3)
    registry.load("methods", name)().train(
        TrainingData(healthy), TrainingRun(folder, QUICK_PRESET if given.quick else given.preset, max_minutes=1e-3)
    )


def measure(name: str, device: str, given: argparse.Namespace) -> dict[str, Any]:
    """Seconds and memory of one method in this process."""
    scan, method = _scan(given.out / "volume"), _method(name, device)
    learned = method.info.learns_from == "scans"
    scorer = method.load(given.out / "models" / method.family) if learned else method.fit(())
    if hasattr(scorer, "warm"):
        scorer.warm()
    before_mb, note = _memory_mb("VmRSS"), ""
    if learned and hasattr(method, "score_slices"):
        part, share = _part(scan, given.slices)
        _timed(scorer, part)  # what torch prepares once
        seconds = _timed(scorer, part) * share
        if seconds > given.patience:
            note = f"scaled from {given.slices} slices"
    else:
        _timed(scorer, scan)
    if not note:
        seconds = _timed(scorer, scan)
    peak_mb, gpu_mb = _memory_mb("VmHWM"), _gpu_mb(device)
    found = {"seconds": seconds, "peak_mb": peak_mb, "scoring_mb": peak_mb - before_mb, "gpu_mb": gpu_mb, "note": note}
    if name == given.residual and learned:
        found["batches"] = {batch: _batched(method, given.out, scan, batch) for batch in BATCHES}
    return found


def main() -> None:
    """Run everything and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, help="keep phantom and models here")
    parser.add_argument("--method", action="append", help="these methods only")
    parser.add_argument("--slices", type=int, default=16)
    parser.add_argument("--patience", type=float, default=60.0)
    parser.add_argument("--residual", default="ae_dense")
    parser.add_argument("--preset", default=PRESET, help="of the learned methods")
    parser.add_argument("--quick", action="store_true", help="a small volume and two methods, for seconds")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.quick and not given.method:
        given.method = [given.residual, QUICK_BESIDE]
    if given.step:
        what, *rest = given.step
        if what == "measure":
            print(json.dumps(measure(rest[0], rest[1], given)))
        elif what == "known":
            print(json.dumps(_known()))
        elif what == "volume":
            make_volume(Path(rest[0]), given)
        else:
            train(rest[0], Path(rest[1]), given)
        return
    with tempfile.TemporaryDirectory() as scratch:
        given.out = given.out or Path(scratch)
        run(given)


def run(given: argparse.Namespace) -> None:
    """Each step in a process of its own: this one stays small, so that no child inherits its memory."""
    if not (given.out / "volume" / "brain.nii.gz").exists():
        _child(given, "volume", str(given.out / "volume"))
    known = json.loads(_child(given, "known"))
    rows, batches = [], {}
    for name, family in known["methods"].items():
        if given.method and name not in given.method:
            continue
        folder = given.out / "models" / family if family else None
        try:
            if folder and not (folder / "config.json").exists():
                _child(given, "train", family, str(folder))
            for device in known["devices"] if family else ["cpu"]:
                found = json.loads(_child(given, "measure", name, device))
                batches |= {f"{device} {batch}": value for batch, value in found.pop("batches", {}).items()}
                rows.append({"method": name, "device": device, **found})
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
            rows.append({"method": name, "device": "-", "note": f"failed: {reason}"})
    report(rows, batches, QUICK_SHAPE if given.quick else SHAPE)


def report(rows: list[dict[str, Any]], batches: dict[str, float], shape: tuple[int, int, int]) -> None:
    """The Markdown table, the batches, and the line of JSON."""
    print("| method | device | seconds a volume | peak, MB | of it scoring, MB | GPU, MB | |\n" + "|---" * 7 + "|")
    for row in rows:
        numbers = (row.get(key, math.nan) for key in ("seconds", "peak_mb", "scoring_mb", "gpu_mb"))
        cells = ["" if math.isnan(n) else f"{n:.1f}" if k == 0 else f"{n:.0f}" for k, n in enumerate(numbers)]
        print("| " + " | ".join([row["method"], row["device"], *cells, row["note"]]) + " |")
    if batches:
        print("\n| device, slices a batch | seconds a volume |\n|---|---|")
        print("\n".join(f"| {name} | {seconds:.2f} |" for name, seconds in batches.items()))
    largest = max((row.get("peak_mb", math.nan) for row in rows), default=math.nan)
    failed = [row["method"] for row in rows if row["note"].startswith("failed")]
    print(
        json.dumps(
            {
                "volume": shape,
                "rows": rows,
                "batches": batches,
                "largest_peak_mb": largest,
                "within_4_gb": largest <= LIMIT_MB and not failed,
                "failed": failed,
            }
        )
    )


def _child(given: argparse.Namespace, *step: str) -> str:
    """The last line that a step prints."""
    options = ["-o", str(given.out), "--slices", str(given.slices), "--patience", str(given.patience)]
    options += ["--preset", given.preset, *(["--quick"] if given.quick else [])]
    command = [sys.executable, "-m", "bench.inference", *options, "--residual", given.residual, "--step", *step]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return (done.stdout.strip().splitlines() or [""])[-1]


def _known() -> dict[str, Any]:
    """Methods with the family of their model folders ("" without one), and devices."""
    from flairline import registry
    from flairline.errors import MissingExtraError
    from flairline.methods.base import load_method, trainable

    methods, devices = {}, ["cpu"]
    for name in registry.names("methods"):
        try:
            method = trainable(load_method(name)())
        except MissingExtraError:
            continue
        methods[name] = method.family if method is not None and method.info.learns_from == "scans" else ""
    try:
        import torch

        devices += ["cuda"] if torch.cuda.is_available() else []
    except ModuleNotFoundError:
        pass
    return {"methods": methods, "devices": devices}


def _scan(folder: Path) -> Any:
    from flairline.io.nifti import read_mask, read_volume
    from flairline.types import Scan

    t1 = read_volume(folder / "t1.nii.gz")
    return Scan.of("phantom", read_volume(folder / "flair.nii.gz"), read_mask(folder / "brain.nii.gz"), t1)


def _method(name: str, device: str) -> Any:
    from flairline import registry

    method = registry.load("methods", name)()
    return replace(method, device=device) if hasattr(method, "device") else method


def _part(scan: Any, count: int) -> tuple[Any, float]:
    """The scan with `count` slices of brain in the middle, and how many times that the whole has."""
    import numpy as np

    from flairline.types import Mask

    there = np.flatnonzero(scan.brain.array.any(axis=(0, 1)))
    start = max(0, (len(there) - count) // 2)
    kept = there[start : start + count]
    brain = np.zeros_like(scan.brain.array)
    brain[:, :, kept] = scan.brain.array[:, :, kept]
    return replace(scan, brain=Mask(brain, scan.space)), len(there) / len(kept)


def _timed(scorer: Any, scan: Any) -> float:
    started = time.perf_counter()
    scorer(scan)
    return time.perf_counter() - started


def _batched(method: Any, out: Path, scan: Any, batch: int) -> float:
    scorer = replace(method, batch=batch).load(out / "models" / method.family)
    scorer(scan)
    started = time.perf_counter()
    scorer.score_many([scan, scan])
    return (time.perf_counter() - started) / 2


def _memory_mb(which: str) -> float:
    """VmRSS (now) or VmHWM (highest) of this process; NaN where there is no /proc.

    Not getrusage: its highest value is carried over from the process that started this one.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    line = next(line for line in status.read_text().splitlines() if line.startswith(f"{which}:"))
    return int(line.split()[1]) / 1024


def _gpu_mb(device: str) -> float:
    if device != "cuda":
        return math.nan
    import torch

    return torch.cuda.max_memory_allocated() / 2**20


if __name__ == "__main__":
    main()
