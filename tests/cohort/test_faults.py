"""Killed workers, a killed run, a full disk, a folder that cannot be written to: nothing is lost or made twice."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flairline.cohort.layout import read_layout
from flairline.cohort.participant import Run, Workers
from flairline.cohort.participant import run as run_participants
from flairline.cohort.state import path_of, read_state
from flairline.preprocess.settings import PreprocessSettings
from flairline.segmentation import Settings

psutil = pytest.importorskip("psutil")

pytestmark = pytest.mark.faults  # they aim at moments, which a busy machine can miss

VISITS = ("sub-01", "sub-02_ses-1", "sub-02_ses-2", "sub-03")
MAIN = "from flairline.cli.main import main; main()"


def command_of(bids, out, *options):
    words = ("participant", "--method", "histeq", "--brain", "none", "--truths", bids / "masks")
    return [sys.executable, "-c", MAIN, "bids", bids / "raw", out, *words, *options]


@contextlib.contextmanager
def started(command):
    """The command as it runs; whatever it left running is ended.

    It hears SIGINT, which a shell has its background jobs ignore, and whoever these start.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=_hear_sigint)
    try:
        yield process
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()


def _hear_sigint():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def when(true, seconds=300):
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
        _, alive = psutil.wait_procs(children, timeout=60)
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
        assert not psutil.wait_procs(children, timeout=60)[1]
    assert not list(out.rglob("*.part"))


def test_two_runs_at_once_make_every_scan_once(bids, finished, contents, tmp_path):
    out = tmp_path / "out"
    with started(command_of(bids, out)) as first, started(command_of(bids, out)) as second:
        codes = {first.wait(120), second.wait(120)}
    assert codes <= {0, 1, 2}
    last = subprocess.run(command_of(bids, out), capture_output=True, text=True, check=False)
    assert last.returncode == 0 and "resumed 4" in " ".join(last.stdout.split())
    assert contents(out) == contents(finished)


def test_killed_five_times_at_random_it_ends_in_the_same_bytes(bids, finished, killed, tmp_path):
    out, rng = tmp_path / "out", random.Random(16)
    seconds = killed.to_its_end(command_of(bids, tmp_path / "calm", "--nprocs", "2"))
    expected, shares = killed.Expected(len(VISITS), seconds), [rng.uniform(0.0, 1.0) for _ in range(5)]
    kills = killed.kill_again_and_again(command_of(bids, out, "--nprocs", "2"), out, expected, shares)
    assert kills and kills == sorted(kills, key=lambda kill: kill.finished)  # nothing finished was lost on the way
    assert killed.differing(finished, out) == []


@pytest.mark.timeout(3600)
def test_real_scans_that_are_killed_five_times_end_in_the_same_bytes(real_data, killed, tmp_path, capsys):
    killed.main([str(tmp_path), "--pairs", "4", "--kills", "5", "--seed", "16"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["scans"] == 6 and len(found["kills"]) == 5
    assert found["files_that_differ"] == [] and found["half_written"] == 0 and found["files_compared"] > 90


def test_a_dask_worker_that_is_killed_costs_nothing_but_time(bids, finished, contents, dask_processes, tmp_path):
    address, *_ = dask_processes
    out = tmp_path / "out"
    with started(command_of(bids, out, "--scheduler", address)) as run:
        _, worker = when(lambda: being_worked_on(out))[0]
        os.kill(worker, signal.SIGKILL)
        assert run.wait(120) == 0, run.stderr.read()
    assert contents(out) == contents(finished)


def test_a_scheduler_that_vanishes_in_the_middle(bids, finished, contents, dask_processes, tmp_path):
    address, scheduler, _ = dask_processes
    out = tmp_path / "out"
    with started(command_of(bids, out, "--scheduler", address)) as run:
        when(lambda: list((out / "state").glob("sub-*.json")))
        scheduler.kill()
        assert run.wait(120) in (1, 2)  # 2 where it vanished before it could say that the first was done
        words = run.stderr.read()
        assert "Traceback" not in words, words
    states = {name: read_state(path_of(out, name)) for name in VISITS}
    kept = {name for name, state in states.items() if state is not None and state.is_whole(out)}
    assert kept and all(state.error for name, state in states.items() if name not in kept)
    when(lambda: not being_worked_on(out))  # its worker ends the scan that it had, and may finish it
    again = subprocess.run(command_of(bids, out), capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert contents(out) == contents(finished)


@pytest.fixture
def late_renames(monkeypatch, tmp_path):
    """OUT lies on a file system that shows a file under its new name a moment after it said that it did."""
    replace, waiting = os.replace, queue.Queue()

    def rename():
        while (pair := waiting.get()) is not None:
            time.sleep(0.02)
            replace(*pair)

    def said_to_be_done(source, target):
        is_late = Path(target).is_relative_to(tmp_path / "out")
        waiting.put((source, target)) if is_late else replace(source, target)

    thread = threading.Thread(target=rename)
    thread.start()
    monkeypatch.setattr(os, "replace", said_to_be_done)
    yield
    waiting.put(None)
    thread.join()


def in_this_process(bids, out):
    settings = Settings("histeq", preprocess=PreprocessSettings(brain="none"))
    asked = Run(bids / "raw", out, out.parent / "work", settings, bids / "masks")
    return [scan.how for scan in run_participants(read_layout(bids / "raw"), asked, Workers())]


@pytest.mark.usefixtures("late_renames")
def test_a_file_system_that_delays_renames(bids, finished, contents, tmp_path):
    out = tmp_path / "out"
    assert in_this_process(bids, out) == ["done"] * 4
    when(lambda: not list(out.rglob("*.part")))
    assert contents(out) == contents(finished)
    assert in_this_process(bids, out) == ["resumed"] * 4


@pytest.mark.parametrize("jump", [-1, 1])
def test_a_clock_that_jumps_by_days_whenever_it_is_looked_at(bids, finished, contents, tmp_path, monkeypatch, jump):
    out, clock = tmp_path / "out", itertools.count(time.time(), jump * 365 * 86400 / 100)
    monkeypatch.setattr(time, "time", lambda: next(clock))
    monkeypatch.setattr(time, "time_ns", lambda: int(next(clock) * 1e9))
    assert in_this_process(bids, out) == ["done"] * 4
    assert contents(out) == contents(finished)
    for path in out.rglob("*_mask.nii.gz"):  # made in the future, or before the scan was
        os.utime(path, (next(clock),) * 2)
    assert in_this_process(bids, out) == ["resumed"] * 4


def test_a_folder_that_cannot_be_written_to(bids, tmp_path):
    out = Path("/proc/flairline") if os.getuid() == 0 else tmp_path / "locked" / "out"
    if os.getuid():
        out.parent.mkdir(mode=0o500)
    ran = subprocess.run(command_of(bids, out), capture_output=True, text=True, check=False)
    assert ran.returncode == 2 and f"Cannot write to the output folder {out}" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.fixture
def mounted(tmp_path):
    """A folder, what is kept of OUT in it, and `run(mounting, command)`, with a tmpfs there that nobody else sees."""
    (folder := tmp_path / "disk").mkdir()

    def run(mounting, command):
        script = f'{mounting}\n"$@"; code=$?; cp -R "$DISK/out" "$KEPT" 2>/dev/null; exit $code'
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *command]
        environment = {**os.environ, "DISK": str(folder), "KEPT": str(tmp_path / "kept")}
        return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)

    if os.getuid() or shutil.which("unshare") is None or run("mount -t tmpfs tmpfs $DISK", ["true"]).returncode:
        pytest.skip("only root may mount a disk")
    return folder, tmp_path / "kept", run


@pytest.mark.parametrize("kilobytes", [200, 600, 1000])
def test_a_full_disk_fails_scans_and_leaves_nothing_half_written(bids, mounted, kilobytes):
    disk, kept, run = mounted
    ran = run(f"mount -t tmpfs -o size={kilobytes}k tmpfs $DISK", command_of(bids, disk / "out"))
    assert ran.returncode in (1, 2) and "No space left on device" in ran.stderr and "Traceback" not in ran.stderr
    assert not list(kept.rglob("*.part")) and (kept / "dataset_description.json").exists()
    for name in VISITS:
        state = read_state(path_of(kept, name))
        assert state is None or state.status == "failed" or state.is_whole(kept)


def test_a_disk_that_was_full_and_has_room_again(bids, finished, contents, mounted):
    disk, kept, run = mounted
    command = " ".join(shlex.quote(str(word)) for word in command_of(bids, disk / "out"))
    small, large = (f"mount -t tmpfs -o {options} tmpfs $DISK" for options in ("size=600k", "remount,size=100m"))
    ran = run(f"{small}\n{command}\n{large}", command_of(bids, disk / "out"))
    assert ran.returncode == 0, ran.stderr
    assert contents(kept) == contents(finished)


def test_a_folder_that_became_read_only(bids, finished, contents, mounted):
    disk, kept, run = mounted
    mounting = f"mount -t tmpfs tmpfs $DISK\ncp -R {finished} $DISK/out\nmount -o remount,ro $DISK"
    ran = run(mounting, command_of(bids, disk / "out"))
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1 and "Read-only file system" in ran.stderr
    assert contents(kept) == contents(finished)
