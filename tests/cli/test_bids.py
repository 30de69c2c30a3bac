"""`flairline bids`: the words of a BIDS-App, the table at the end, and what a validator says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flairline.cli import bids as command
from flairline.cohort.participant import Ended
from flairline.cohort.state import ScanState, failed

OPTIONS = ("--method", "histeq", "--brain", "none")


@pytest.fixture
def data(tmp_path, phantoms):
    """Two subjects, the second of them with another file that is no image."""
    root = tmp_path / "data"
    for name, case in zip(("sub-01", "sub-02"), phantoms(4, patients=True), strict=False):
        anat = root / name / "anat"
        anat.mkdir(parents=True)
        shutil.copy(case.flair, anat / f"{name}_FLAIR.nii.gz")
    return root


def test_a_data_set_from_the_first_scan_to_the_group(tmp_path, flairline, data):
    out = tmp_path / "out"
    ran = flairline("bids", data, out, "participant", "--participant-label", "01", *OPTIONS)
    assert ran.code == 0 and "1 of 1 scans" in ran.out and not (out / "sub-02").exists()
    ran = flairline("bids", data, out, "participant", "--participant_label", "sub-01", "02", *OPTIONS)
    words = " ".join(ran.out.split())
    assert ran.code == 0 and "done 1" in words and "resumed 1" in words and "not for diagnosis" in words
    shutil.rmtree(data)  # the group level needs only OUT
    ran = flairline("bids", data, out, "group")
    assert ran.code == 0 and str(out / "group_scans.tsv") in ran.out and (out / "index.html").exists()


def test_a_bad_scan_is_named_and_the_others_are_done(tmp_path, flairline, data):
    (data / "sub-01/anat/sub-01_FLAIR.nii.gz").write_bytes(b"no image")
    out = tmp_path / "out"
    ran = flairline("bids", data, out, "participant", *OPTIONS)
    assert ran.code == 1 and "sub-01: " in ran.err and "failed 1" in " ".join(ran.out.split())
    ran = flairline("bids", data, out, "participant", *OPTIONS, "--participant-label", "01")
    assert ran.code == 2
    ran = flairline("bids", data, tmp_path / "other", "participant", *OPTIONS, "--stop-on-first-crash")
    assert "1 of 2 scans" in ran.out and not (tmp_path / "other/sub-02.html").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("participant", "--participant-label", "7"), "participants 7"),
        (("participant", "--brain", "brain.nii"), "one file cannot serve"),
        (("participant", "--truths", "nowhere"), "no folder"),
        (("participant", "--participant-label"), "one label or several after --participant-label"),
        (("participant", "--participant-label", "--method", "histeq"), "one label or several"),
        (("participant", "--session_label", "-w", "work"), "one label or several after --session_label"),
        (("participant", "--reports-only"), "2 of 2 have no result to show"),
        (("participant", "--scheduler", "pbs"), "slurm:FILE"),
        (("participant", "--bids-filter-file", "nowhere.json"), "nowhere.json"),
        (("session",), "session"),
        (("group",), "Run that level first"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, flairline, data, words, reason):
    ran = flairline("bids", data, tmp_path / "out", *words)
    assert ran.code == 2 and reason in ran.line


def test_limits_that_do_not_come_about_are_told(tmp_path, flairline, data):
    options = ("--participant-label", "01", *OPTIONS)
    ran = flairline("bids", data, tmp_path / "out", "participant", *options, "--nprocs", "4", "--mem-gb", "6")
    assert ran.code == 0 and "6 GB are enough for 2 of 4 processes" in ran.err
    ran = flairline("bids", data, tmp_path / "out", "group", "--participant-label", "01")
    assert ran.code == 0 and "labels are not looked at" in ran.err


def test_labels_are_spread():
    words = ["A", "B", "participant", "--participant-label", "01", "02", "-w", "x", "--session_label", "1", "--json"]
    spread = command.spread(words)
    assert spread[3:7] == ["--participant-label", "01", "--participant-label", "02"]
    assert spread[7:] == ["-w", "x", "--session_label", "1", "--json"]


def test_the_tally():
    tally = command.Tally(4)
    done = ScanState("a", "", "done", flags=("dark",))
    for scan in (Ended("a", "done", done), Ended("b", "resumed", done), Ended("c", "failed", failed(done, "bad"))):
        tally.add(scan)
    assert (tally.ended, tally.counts["flagged"], tally.failures) == (3, 3, {"c": "bad"})
    assert tally.line.startswith("3/4, ") and "1 failed" in tally.line and "scans/min" in tally.line


def test_a_log_gets_one_line_a_minute_however_long_a_scan_takes(monkeypatch):
    assert command.LOG_SECONDS == 60
    monkeypatch.setattr(command, "LOG_SECONDS", 0.01)
    lines: list[str] = []
    monkeypatch.setattr(command, "say", lines.append)
    tally = command.Tally(10)
    tally.add(Ended("a", "done", ScanState("a", "", "done")))
    with command.showing(tally) as show:
        show()
        while len(lines) < 3:  # no further scan ends meanwhile
            time.sleep(0.005)
    said = len(lines)
    assert {line.split(",")[0] for line in lines} == {"1/10"}
    time.sleep(0.05)
    assert len(lines) == said  # and none once the run is over


def test_a_keyboard_interrupt_says_how_to_go_on(tmp_path, flairline, data, monkeypatch):
    from flairline.cohort import participant

    def stopped(*_):
        yield Ended("sub-01", "done", ScanState("sub-01", "", "done"))
        raise KeyboardInterrupt

    monkeypatch.setattr(participant, "run", stopped)
    ran = flairline("bids", data, tmp_path / "out", "participant", *OPTIONS)
    assert ran.code == 130 and "stopped at 1 of 2. Run the same command again to go on" in ran.err


def test_the_derivatives_pass_the_validator(tmp_path, flairline, data):
    validator = Path(sys.executable).parent / "bids-validator-deno"
    if not validator.exists():
        pytest.skip("bids-validator-deno is not installed")
    out = tmp_path / "out"
    flairline("bids", data, out, "participant", *OPTIONS)
    flairline("bids", data, out, "group")
    command_line = [validator, out, "--format", "json", "--ignoreNiftiHeaders"]
    environment = {**os.environ, "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"}
    ran = subprocess.run(command_line, capture_output=True, text=True, env=environment, check=False)
    issues = json.loads(ran.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    # Who made a data set of derivatives, and of which terms, is its owner's to say.
    assert {issue["code"] for issue in issues} <= {"TOO_FEW_AUTHORS", "JSON_KEY_RECOMMENDED"}


GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "cohorts.md"


def examples(language):
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("where", ["laptop", "workstation", "array", "docker", "apptainer"])
def test_the_examples_of_the_guide(tmp_path, flairline, data, where):
    last_lines = [text.strip().splitlines()[-1] for text in examples("sh")]
    laptop, workstation, array, *_ = last_lines
    contained = {words[0]: line for line in last_lines if (words := line.split())[0] in ("docker", "apptainer")}
    example = {"laptop": laptop, "workstation": workstation, "array": array, **contained}[where]
    places = {"DATA": data, "OUT": tmp_path / "out", "WORK": tmp_path / "work", "$TMPDIR": tmp_path, "$subject": "02"}
    places |= {"/data": data, "/out": tmp_path / "out"}
    program, *words = [places.get(word, word) for word in shlex.split(example)]
    assert program == (where if where in contained else "flairline")
    ran = flairline(*words[words.index("bids") :], *OPTIONS)
    assert ran.code == 0 and (tmp_path / "out" / "sub-02.html").exists()


def test_the_slurm_example_of_the_guide_makes_a_job(tmp_path):
    pytest.importorskip("dask_jobqueue")
    from flairline.executor import slurm_cluster

    (file := tmp_path / "slurm.toml").write_text(examples("toml")[0])
    with slurm_cluster(file, start=False) as jobs:
        assert "#SBATCH -p short" in jobs.job_script() and "--mem=4G" in jobs.job_script()
