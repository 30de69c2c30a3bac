"""The state of a scan, and its lock."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from flairline.cohort.state import BusyError, FileStamp, ScanState, key_of, locked, path_of, read_state, states_of
from flairline.errors import InputError


@pytest.fixture
def flair(tmp_path):
    (tmp_path / "flair.nii").write_bytes(b"one")
    return tmp_path / "flair.nii"


def test_a_state_comes_back_as_it_was_written(tmp_path, flair):
    stamp = FileStamp.of(tmp_path, "flair.nii")
    state = ScanState("sub-1", "key", "done", {"flair": stamp}, {"mask.nii": 4}, ("dark",), seconds=1.5, peak_mb=3.0)
    state.write(tmp_path)
    assert read_state(path_of(tmp_path, "sub-1")) == state
    assert list(states_of(tmp_path)) == [state]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 99}', '{"schema": 1}', "\0\0\0"])
def test_a_damaged_state_is_no_state(tmp_path, content):
    path_of(tmp_path, "sub-1").parent.mkdir()
    path_of(tmp_path, "sub-1").write_text(content)
    assert read_state(path_of(tmp_path, "sub-1")) is None


def test_done_means_that_every_output_is_there_whole(tmp_path):
    state = ScanState("sub-1", "key", "done", outputs={"mask.nii": 4})
    assert not state.is_whole(tmp_path)
    (tmp_path / "mask.nii").write_bytes(b"123")
    assert not state.is_whole(tmp_path)
    (tmp_path / "mask.nii").write_bytes(b"1234")
    assert state.is_whole(tmp_path)
    assert not replace(state, status="failed").is_whole(tmp_path)


def test_a_hash_is_taken_from_the_state_only_where_nothing_touched_the_file(tmp_path, flair, monkeypatch):
    first = FileStamp.of(tmp_path, "flair.nii")
    assert FileStamp.of(tmp_path, "flair.nii", replace(first, sha256="kept")).sha256 == "kept"
    times = flair.stat()
    flair.write_bytes(b"two")  # as long, and with its time set back, as a clock that jumps would
    os.utime(flair, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert FileStamp.of(tmp_path, "flair.nii", first).sha256 != first.sha256
    with pytest.raises(InputError, match=r"gone\.nii"):
        FileStamp.of(tmp_path, "gone.nii")


def test_the_key_depends_on_contents_parameters_and_version_alone(tmp_path, flair):
    stamp = FileStamp.of(tmp_path, "flair.nii")
    key = key_of({"flair": stamp}, {"recipe": "a"}, "1")
    assert key == key_of({"flair": replace(stamp, path="elsewhere", seen=())}, {"recipe": "a"}, "1")
    others = [
        key_of({"flair": replace(stamp, sha256="0")}, {"recipe": "a"}, "1"),
        key_of({"t1": stamp}, {"recipe": "a"}, "1"),
        key_of({"flair": stamp}, {"recipe": "b"}, "1"),
        key_of({"flair": stamp}, {"recipe": "a"}, "2"),
    ]
    assert len({key, *others}) == 5


HOLDS = """
import sys, time
from pathlib import Path
from flairline.cohort.state import locked
with locked(Path(sys.argv[1]), "sub-1"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_names_its_owner_and_ends_with_its_process(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(BusyError, match=rf"sub-1 in .* by .* on .*, process {other.pid}\."),
            locked(tmp_path, "sub-1"),
        ):
            pass
        with locked(tmp_path, "sub-2"):  # another scan is free
            pass
        other.kill()
        other.wait()
    with locked(tmp_path, "sub-1"):
        pass
