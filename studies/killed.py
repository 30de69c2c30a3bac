"""Whether a cohort that is killed again and again ends in the bytes of one that was left alone.

    FLAIRLINE_DATA=folder python -m studies.killed OUT [--pairs 10] [--kills 5] [--seed 0] [--nprocs 2] [-- OPTIONS]

The raw pairs of nichart and the two visits of a patient of mslub_raw are laid out as BIDS in OUT/raw. `flairline bids`,
participant and group, runs undisturbed into OUT/undisturbed. Then it runs into OUT/killed, and its whole process group
gets SIGKILL at a random time of what is left to do, as often as asked, the same command again after each; then it runs
to its end. Every file of both folders is compared, but for seconds and memory where they stand, locks and logs. OPTIONS
go to the participant level. Prints a table, and JSON last; exit code 1 where a byte differs or a scan is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flairline.io.tables import markdown_text

MAIN = "from flairline.cli.main import main; main()"
TWO_VISITS = "patient12"
NOT_COMPARED = ("state/locks/", "logs/")
VARIES = ("seconds", "peak_mb")
"""Columns and keys that say how long a scan took and how much memory."""


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: seconds after the run began, the scans finished by then, and the files it left half-written."""

    after_seconds: float
    finished: int
    half_written: int


@dataclass(frozen=True)
class Expected:
    """What an undisturbed run took."""

    scans: int
    seconds: float


def lay_out(data: Path, root: Path, pairs: int) -> list[str]:
    """Raw pairs as BIDS; the names of the visits."""
    sources = {f"sub-{folder.name}": folder for folder in sorted((data / "nichart").iterdir())[:pairs]}
    for number, folder in enumerate(sorted((data / "mslub_raw").glob(f"{TWO_VISITS}_*")), start=1):
        sources[f"sub-{TWO_VISITS}_ses-{number}"] = folder
    for name, folder in sources.items():
        anat = root / name.replace("_", "/") / "anat"
        anat.mkdir(parents=True, exist_ok=True)
        for image, suffix in (("flair", "FLAIR"), ("t1", "T1w")):
            shutil.copy(folder / f"{image}.nii.gz", anat / f"{name}_{suffix}.nii.gz")
    return list(sources)


def command_of(root: Path, out: Path, *options: str) -> list[str]:
    """The participant level."""
    return [sys.executable, "-c", MAIN, "bids", str(root), str(out), "participant", *options]


def killed(command: Sequence[str], out: Path, after_seconds: float) -> Kill | None:
    """Start a command in a process group of its own and kill all of that; None where it had ended before.

    Raises
    ------
    RuntimeError
        It ended before, and not well.
    """
    with in_own_group(command) as run:
        try:
            _, words = run.communicate(timeout=after_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            return Kill(after_seconds, len(list((out / "state").glob("sub-*.json"))), len(list(out.rglob("*.part"))))
    if run.returncode:
        raise RuntimeError(words)
    return None


@contextmanager
def in_own_group(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """The command as it runs; whatever is left of its group at the end is killed."""
    pipe = subprocess.PIPE
    run = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    try:
        yield run
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def to_its_end(command: Sequence[str]) -> float:
    """Run a command to its end; its seconds. Raises `RuntimeError` where it does not end well."""
    begun = time.perf_counter()
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        msg = f"{' '.join(command[3:])} ended with code {ran.returncode}: {ran.stderr}"
        raise RuntimeError(msg)
    return time.perf_counter() - begun


def kill_again_and_again(command: Sequence[str], out: Path, expected: Expected, shares: Sequence[float]) -> list[Kill]:
    """A kill at each share of the time that what is left needs, each run going on where the last was killed; then on
    to the end. A run that ended before its moment needs no more kills. Raises `RuntimeError`."""
    kills: list[Kill] = []
    for share in shares:
        finished = kills[-1].finished if kills else 0
        kill = killed(command, out, share * expected.seconds * (expected.scans - finished) / expected.scans)
        if kill is None:
            break
        kills.append(kill)
    to_its_end(command)
    return kills


def comparable(out: Path) -> dict[str, bytes]:
    """All files below OUT by path, without locks and logs, and without seconds and memory where these stand."""
    files = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_dir() or name.startswith(NOT_COMPARED):
            continue
        content = path.read_bytes()
        if name.endswith("_summary.json"):
            summary = json.loads(content)
            summary.pop("seconds")
            summary["qc"].pop("seconds", None)
            content = json.dumps(summary).encode()
        elif name.startswith("state/sub-"):
            state = json.loads(content)
            state["outputs"] = {
                place: size for place, size in state["outputs"].items() if not place.endswith("summary.json")
            }
            content = json.dumps({key: state[key] for key in ("name", "key", "status", "outputs")}).encode()
        elif name == "group_scans.tsv":
            content = without_columns(content.decode(), VARIES).encode()
        files[name] = content
    return files


def without_columns(table: str, names: Sequence[str]) -> str:
    """A table of tab-separated values without some columns."""
    rows = [line.split("\t") for line in table.splitlines()]
    kept = [number for number, name in enumerate(rows[0]) if name not in names]
    return "\n".join("\t".join(row[number] for number in kept) for row in rows)


def differing(calm: Path, rough: Path) -> list[str]:
    """The paths of files that differ, or that only one of two folders has."""
    wanted, found = comparable(calm), comparable(rough)
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("options", nargs="*")
    given = parser.parse_args(arguments)
    root = given.out / "raw"
    calm, rough = (given.out / name / "cohort" for name in ("undisturbed", "killed"))  # the page has the folder's name
    visits = lay_out(Path(os.environ["FLAIRLINE_DATA"]), root, given.pairs)
    options = ("--nprocs", str(given.nprocs), *given.options)
    seconds = to_its_end(command_of(root, calm, *options))
    rng = random.Random(given.seed)
    shares = [rng.uniform(0.0, 1.0) for _ in range(given.kills)]
    kills = kill_again_and_again(command_of(root, rough, *options), rough, Expected(len(visits), seconds), shares)
    for out in (calm, rough):
        to_its_end([sys.executable, "-c", MAIN, "bids", str(root), str(out), "group"])
    found: dict[str, Any] = {
        "scans": len(visits),
        "undisturbed_seconds": round(seconds, 1),
        "kills": [asdict(kill) for kill in kills],
        "files_compared": len(comparable(calm)),
        "files_that_differ": differing(calm, rough),
        "half_written": len(list(rough.rglob("*.part"))),
    }
    rows = [[f"{kill.after_seconds:.1f}", str(kill.finished), str(kill.half_written)] for kill in kills]
    print(markdown_text(["killed after s", "scans finished by then", "files half-written"], rows))
    print(json.dumps(found))
    if found["files_that_differ"] or found["half_written"] or len(kills) < given.kills:
        sys.exit(1)


if __name__ == "__main__":
    main()
