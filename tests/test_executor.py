"""One item's failure is that item's, whatever it is."""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys

import pytest

from flairline import executor, segmentation
from flairline.errors import InputError
from flairline.io.logs import with_log
from flairline.types import Case

WORK = """
import os
from pathlib import Path
from flairline import executor, segmentation
from flairline.errors import InputError

def doubled(number: int) -> int:
    if number == 3:
        msg = "wanted another number than 3"
        raise InputError(msg)
    if number == 4:
        raise TypeError("four\\nis no good")
    return 2 * number


def dies_at_3(number: int) -> int:
    if number == 3:
        os._exit(1)
    return 2 * number


def dies_once(marker: str) -> str:
    path = Path(marker)
    if path.name == "dies" and not path.exists():
        path.touch()
        os._exit(1)
    return path.name


def threads_told(_: int) -> int:
    return executor.threads()


def told(_: int):
    import resource

    of_libraries = [os.environ.get(name) for name in executor.LIBRARIES_VARIABLES]
    return executor.threads(), of_libraries, resource.getrlimit(resource.RLIMIT_DATA)[0]


def takes_mb(number: int) -> int:
    return len(bytearray(number * 2**20)) // 2**20


def slowly(number: int) -> int:
    import time

    time.sleep(0.5)
    return number + 1


def not_to_be_sent(number: int):
    return (lambda: number) if number == 2 else number
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Functions in a module that workers, which start clean, can import."""
    (tmp_path / "flairline_test_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("flairline_test_work", None)
    return importlib.import_module("flairline_test_work")


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_exception_in_the_middle_ends_its_item_alone(jobs, work):
    outcomes = {outcome.item: outcome for outcome in executor.run(work.doubled, range(1, 7), jobs)}
    assert {item: outcome.result for item, outcome in outcomes.items()} == {1: 2, 2: 4, 3: None, 4: None, 5: 10, 6: 12}
    assert outcomes[3].error == "wanted another number than 3" and not outcomes[3].traceback
    assert outcomes[4].error == "TypeError: four is no good"
    assert "in doubled" in outcomes[4].traceback


def test_a_worker_that_dies_takes_only_its_own_item_along(work):
    outcomes = {outcome.item: outcome for outcome in executor.run(work.dies_at_3, range(1, 7), 2)}
    assert {item: outcome.result for item, outcome in outcomes.items()} == {1: 2, 2: 4, 3: None, 4: 8, 5: 10, 6: 12}
    assert "died twice" in (outcomes[3].error or "")


def test_an_item_whose_worker_died_is_tried_once_more(tmp_path, work):
    items = [str(tmp_path / name) for name in ("a", "dies", "b", "c")]
    outcomes = list(executor.run(work.dies_once, items, 2))
    assert {outcome.result for outcome in outcomes} == {"a", "dies", "b", "c"}


def test_workers_that_cannot_begin_are_an_error_and_no_endless_loop(work, tmp_path):
    (tmp_path / "flairline_test_work.py").write_text("import os; os._exit(1)")
    outcomes = list(executor.run(work.doubled, [1, 2, 3], 2))
    assert [outcome.item for outcome in outcomes] == [1, 2, 3]
    assert all("could not begin" in (outcome.error or "") for outcome in outcomes)


def test_a_result_that_cannot_be_sent_is_a_failure_of_its_item(work):
    outcomes = {outcome.item: outcome for outcome in executor.run(work.not_to_be_sent, [1, 2, 3], 2)}
    assert (outcomes[1].result, outcomes[3].result) == (1, 3)
    assert outcomes[2].error is not None and outcomes[2].traceback


def test_stopping_by_hand_stops_everything():
    def stopped(_: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(executor.run(stopped, [1, 2]))


def test_threads_are_what_the_process_was_told_else_its_cores_at_most_two(monkeypatch):
    monkeypatch.delenv(executor.THREADS_VARIABLE, raising=False)
    monkeypatch.setattr(executor, "_cores", lambda: 16)
    assert executor.threads() == 2
    monkeypatch.setattr(executor, "_cores", lambda: 1)
    assert executor.threads() == 1
    monkeypatch.setenv(executor.THREADS_VARIABLE, "5")
    assert executor.threads() == 5
    for nonsense in ("0", "two", "-1"):
        monkeypatch.setenv(executor.THREADS_VARIABLE, nonsense)
        assert executor.threads() == 1


@pytest.mark.parametrize(("told", "wanted"), [("", 1), ("8", 4), ("1", 1)])
def test_workers_share_the_threads(monkeypatch, told, wanted, work):
    monkeypatch.setenv(executor.THREADS_VARIABLE, told)
    monkeypatch.setattr(executor, "_cores", lambda: 2)
    assert {outcome.result for outcome in executor.run(work.threads_told, [1, 2], 2)} == {wanted}


def test_the_traceback_of_a_fault_is_kept_and_its_file_named(tmp_path, work):
    mistake, fault = (outcome for outcome in executor.run(work.doubled, [3, 4]))
    assert with_log(mistake, tmp_path, "3") == mistake
    named = with_log(fault, tmp_path, "a/4")
    path = tmp_path / "logs" / "a_4.txt"
    assert named.error == f"TypeError: four is no good (a fault in flairline; traceback in {path})"
    assert "in doubled" in path.read_text()
    (tmp_path / "full").write_text("a file where a folder should be")
    assert with_log(fault, tmp_path / "full", "4") == fault


def test_a_fault_while_a_scan_is_segmented_leaves_its_traceback_in_the_logs(tmp_path, monkeypatch):
    def fails(*_):
        raise TypeError("no such thing")

    monkeypatch.setattr(segmentation, "find", fails)
    cases = [Case("", name, flair=tmp_path / f"{name}.nii.gz") for name in ("a", "b")]
    outcomes = list(segmentation.run(cases, tmp_path / "out", segmentation.Settings("histeq")))
    assert [outcome.item.subject for outcome in outcomes] == ["a", "b"]
    assert "traceback in" in (outcomes[1].error or "")
    assert "no such thing" in (tmp_path / "out" / "logs" / "b.txt").read_text()


def test_workers_are_told_threads_and_memory_before_they_compute(work, monkeypatch):
    for variable in executor.LIBRARIES_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(executor, "_cores", lambda: 8)
    monkeypatch.delenv(executor.THREADS_VARIABLE, raising=False)
    ended = {outcome.item: outcome for outcome in executor.run(work.told, [1, 2], 2, worker_mb=1000)}
    threads, of_libraries, limit = ended[1].result
    assert threads == 4 and of_libraries == ["4"] * len(executor.LIBRARIES_VARIABLES)
    assert limit == (1000 * 2**20 if sys.platform == "linux" else -1)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_worker_that_wants_too_much_memory_fails_its_item_alone(work, jobs):
    ended = {outcome.item: outcome for outcome in executor.run(work.takes_mb, [10, 5000], jobs, worker_mb=1500)}
    assert ended[10].result == 10 and "MemoryError" in (ended[5000].error or "") and not ended[5000].died


@pytest.mark.parametrize("text", ["pbs", "slurm:", "10.0.0.1:8786"])
def test_a_scheduler_that_is_none(text):
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match="slurm:FILE"), executor.cluster(text):
        pass


def test_a_scheduler_that_does_not_answer(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(executor, "SCHEDULER_SECONDS", 0.5)
    with pytest.raises(InputError, match="none answers"), executor.cluster("tcp://127.0.0.1:9"):
        pass


def test_a_slurm_job_is_what_its_file_says(tmp_path):
    pytest.importorskip("dask_jobqueue")
    file = tmp_path / "slurm.toml"
    file.write_text(
        'cores = 1\nmemory = "4GB"\nqueue = "short"\nwalltime = "08:00:00"\n'
        'job_extra_directives = ["--qos=low"]\njob_script_prologue = ["module load flairline"]\n'
    )
    with executor.slurm_cluster(file, start=False) as jobs:
        script = jobs.job_script()
    for line in ("#SBATCH -p short", "#SBATCH -n 1", "#SBATCH --mem=4G", "#SBATCH -t 08:00:00", "#SBATCH --qos=low"):
        assert line in script
    assert script.index("module load flairline") < script.index("distributed.cli.dask_worker")
    assert "--nthreads 1" in script
    for wrong in ("cores =", "no_such_word = 1"):
        file.write_text(wrong)
        with pytest.raises(InputError, match=r"slurm\.toml"):
            executor.slurm_cluster(file)


@pytest.fixture
def dask_cluster(dask_processes, work):
    """A scheduler in a process of its own, and what starts a worker of it, which can import `work`."""
    return dask_processes


@pytest.mark.faults
def test_a_dask_cluster_gives_the_same_outcomes(dask_cluster, work):
    address, *_ = dask_cluster
    with executor.cluster(address) as there:
        outcomes = {outcome.item: outcome for outcome in executor.run_on(there, work.doubled, range(1, 7), 1)}
        told = next(executor.run_on(there, work.threads_told, [1], 1)).result
    here = {outcome.item: outcome for outcome in executor.run(work.doubled, range(1, 7))}
    assert {item: outcome.result for item, outcome in outcomes.items()} == {1: 2, 2: 4, 3: None, 4: None, 5: 10, 6: 12}
    assert {item: outcome.error for item, outcome in outcomes.items()} == {
        item: outcome.error for item, outcome in here.items()
    }
    assert told == 1


@pytest.mark.faults
def test_a_dask_worker_that_dies_takes_only_its_own_item_along(dask_cluster, work):
    address, _, add_worker = dask_cluster
    add_worker()
    with executor.cluster(address) as there:
        outcomes = {outcome.item: outcome for outcome in executor.run_on(there, work.dies_at_3, range(1, 7), 1)}
    assert {item: outcome.result for item, outcome in outcomes.items()} == {1: 2, 2: 4, 3: None, 4: 8, 5: 10, 6: 12}
    assert outcomes[3].died and not outcomes[3].traceback


@pytest.mark.faults
def test_a_scheduler_that_vanishes_fails_what_is_left_and_hangs_nobody(dask_cluster, work):
    address, scheduler, _ = dask_cluster
    with executor.cluster(address) as there:
        outcomes = executor.run_on(there, work.slowly, range(8), 1)
        first = next(outcomes)
        scheduler.kill()
        rest = list(outcomes)
    assert first.result is not None
    assert len(rest) == 7 and rest[-1].died and rest[-1].error


FAULTS = """
import resource, sys
import numpy as np
from flairline import executor

if sys.argv[1] == "told":
    executor.begin_worker(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    np.ones(2**17)  # 1 MB: larger ones get large pages
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_a_worker_keeps_the_memory_that_it_frees_whatever_its_cluster_sets():
    def pages(how: str) -> int:
        ran = subprocess.run(
            [sys.executable, "-c", FAULTS, how],
            env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"},  # as Dask's nanny has it
            capture_output=True,
            text=True,
            check=True,
        )
        return int(ran.stdout)

    each = 2**20 // os.sysconf("SC_PAGESIZE")
    assert pages("told") < 5 * each
    if pages("not told") < 80 * each:
        pytest.skip("this system gives pages of another size, or counts none")
