import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from flairline.errors import InputError, OutputError
from flairline.io import files


def leftovers(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_with_its_folders(tmp_path):
    files.write_text(tmp_path / "a" / "b" / "c.txt", "ä")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "ä".encode()
    assert leftovers(tmp_path / "a" / "b") == ["c.txt"]


def test_others_may_read_what_was_written(tmp_path):
    files.write_text(tmp_path / "a.txt", "a")
    (tmp_path / "plain").write_text("b")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, error):
    files.write_text(tmp_path / "a.txt", "old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        files.write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert leftovers(tmp_path) == ["a.txt"]


def test_a_full_disk_is_said_in_words(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="No space left on device"):
        files.write_text(tmp_path / "a.txt", "new")


def test_a_folder_stands_where_the_file_should_go(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match="Cannot write"):
        files.write_text(tmp_path / "a.txt", "new")
    assert leftovers(tmp_path) == ["a.txt"]


def test_an_output_folder_is_made(tmp_path):
    assert files.prepare_folder(tmp_path / "a" / "b").is_dir()
    assert leftovers(tmp_path / "a" / "b") == []


def test_an_output_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        files.prepare_folder(tmp_path / "out")
    with pytest.raises(OutputError, match="Cannot write"):
        files.prepare_folder(tmp_path / "out" / "below")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_read_only_output_folder_is_refused(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.tempfile, "TemporaryFile", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        files.prepare_folder(tmp_path)


def test_a_folder_without_write_permission_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(OutputError, match="Permission denied"):
            files.prepare_folder(tmp_path)
        with pytest.raises(OutputError, match="Permission denied"):
            files.write_text(tmp_path / "a.txt", "a")
    finally:
        tmp_path.chmod(0o755)


def test_json_has_no_nan_and_takes_numpy(tmp_path):
    content = {"a": np.float32(0.5), "b": float("nan"), "c": [np.inf, np.int64(3)], "d": np.array([1.0, np.nan])}
    files.write_json(tmp_path / "a.json", {**content, "e": tmp_path, "f": np.bool_(True), 7: None})
    read = json.loads((tmp_path / "a.json").read_text())
    assert read == {"a": 0.5, "b": None, "c": [None, 3], "d": [1.0, None], "e": str(tmp_path), "f": True, "7": None}


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(InputError, match="Cannot read"):
        files.sha256(tmp_path / "missing")


def test_a_name_that_is_no_utf_8_is_written_as_well_as_it_can_be(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    files.write_text(tmp_path / "a.txt", f"{name} naïve \ud800")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "café naïve \N{REPLACEMENT CHARACTER}"
    files.write_json(tmp_path / "a.json", {name: [Path(name)]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"café": ["café"]}
