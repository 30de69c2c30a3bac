"""Killed workers, a killed run, a full disk, a folder that cannot be written to: nothing is lost or made twice."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flairline.cohort.state import path_of, read_state

psutil = pytest.importorskip("psutil")

pytestmark = pytest.mark.faults  # they aim at moments, which a busy machine can miss

VISITS = ("sub-01", "sub-02_ses-1", "sub-02_ses-2", "sub-03")
MAIN = "from flairline.cli.main import main; main()"


def command_of(bids, out, *options):
    words = ("participant", "--method", "histeq", "--brain", "none", "--truths", bids / "masks")
    return [sys.executable, "-c", MAIN, "bids", bids / "raw", out, *words, *options]


@contextlib.contextmanager
def started(command):
    """The command as it runs; whatever it left running is ended."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()


def when(true, seconds=60):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
    return found


def being_worked_on(out) -> list[tuple[str, int]]:
    """Scans and the numbers of the processes that hold their locks."""
    owners = []
    for path in (out / "state" / "locks").glob("sub-*.owner"):
        with contextlib.suppress(OSError):
            if number := re.search(r"process (\d+)", path.read_text()):
                owners.append((path.stem, int(number[1])))
    return owners


def test_a_worker_that_is_killed_costs_nothing_but_time(bids, finished, contents, tmp_path):
    out = tmp_path / "out"
    with started(command_of(bids, out, "--nprocs", "2")) as run:
        _, worker = when(lambda: being_worked_on(out))[0]
        os.kill(worker, signal.SIGKILL)
        assert run.wait(120) == 0, run.stderr.read()
    assert contents(out) == contents(finished)


def test_a_scan_that_kills_its_worker_each_time_fails_alone(bids, tmp_path):
    out, killed = tmp_path / "out", []
    with started(command_of(bids, out, "--nprocs", "2")) as run:
        while run.poll() is None:
            for name, worker in being_worked_on(out):
                if name == "sub-03" and worker not in killed:
                    killed.append(worker)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)
            time.sleep(0.002)
        words = run.stdout.read()
        assert run.returncode == 1, words
    assert len(killed) == 2  # tried once more, and no third time
    assert {name: read_state(path_of(out, name)).status for name in VISITS} == {
        **dict.fromkeys(VISITS[:3], "done"),
        "sub-03": "failed",
    }
    assert read_state(path_of(out, "sub-03")).died and "died twice" in (out / "logs" / "sub-03.txt").read_text()


@pytest.mark.parametrize("moment", [0, 1, 3])
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(bids, finished, contents, tmp_path, moment):
    out = tmp_path / "out"
    with started(command_of(bids, out, "--nprocs", "2")) as run:
        when(lambda: being_worked_on(out) and len(list((out / "state").glob("sub-*.json"))) >= moment)
        children = psutil.Process(run.pid).children(recursive=True)
        run.kill()
        run.wait()
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive  # no worker waits for ever for a parent that is gone
    kept = [name for name in VISITS if (state := read_state(path_of(out, name))) and state.is_whole(out)]
    assert len(kept) >= moment
    again = subprocess.run(command_of(bids, out), capture_output=True, text=True, check=False)
    words = " ".join(again.stdout.split())
    assert again.returncode == 0 and f"resumed {len(kept)}" in words and f"done {4 - len(kept)}" in words
    assert contents(out) == contents(finished)


def test_ctrl_c_says_how_to_go_on_and_leaves_no_worker(bids, tmp_path):
    out = tmp_path / "out"
    with started(command_of(bids, out, "--nprocs", "2")) as run:
        when(lambda: list((out / "state").glob("sub-*.json")))
        children = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130
        assert "Run the same command again to go on" in run.stderr.read()
        assert not psutil.wait_procs(children, timeout=20)[1]
    assert not list(out.rglob("*.part"))


def test_two_runs_at_once_make_every_scan_once(bids, finished, contents, tmp_path):
    out = tmp_path / "out"
    with started(command_of(bids, out)) as first, started(command_of(bids, out)) as second:
        codes = {first.wait(120), second.wait(120)}
    assert codes <= {0, 1, 2}
    last = subprocess.run(command_of(bids, out), capture_output=True, text=True, check=False)
    assert last.returncode == 0 and "resumed 4" in " ".join(last.stdout.split())
    assert contents(out) == contents(finished)


def test_a_folder_that_cannot_be_written_to(bids, tmp_path):
    out = Path("/proc/flairline") if os.getuid() == 0 else tmp_path / "locked" / "out"
    if os.getuid():
        out.parent.mkdir(mode=0o500)
    ran = subprocess.run(command_of(bids, out), capture_output=True, text=True, check=False)
    assert ran.returncode == 2 and f"Cannot write to the output folder {out}" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 600 KB, as root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", folder]
    if (
        os.getuid()
        or shutil.which("mount") is None
        or subprocess.run(words, check=False, capture_output=True).returncode
    ):
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_fails_scans_and_leaves_nothing_half_written(bids, small_disk):
    out = small_disk / "out"
    ran = subprocess.run(command_of(bids, out), capture_output=True, text=True, check=False)
    assert ran.returncode in (1, 2) and "No space left on device" in ran.stderr and "Traceback" not in ran.stderr
    assert not list(out.rglob("*.part"))
    for name in VISITS:
        state = read_state(path_of(out, name))
        assert state is None or state.status == "failed" or state.is_whole(out)
