"""The store of intermediate results: whole entries or none, known by all that they depend on."""

import os
import subprocess
import sys

import pytest

from flairline.errors import OutputError
from flairline.io.store import ENTRY, Store, content_key


@pytest.fixture
def store(tmp_path):
    return Store.at(tmp_path / "store")


def keep(store, key, text="kept"):
    with store.new(key, {"made_by": "test"}) as folder:
        (folder / "file.txt").write_text(text)


def test_an_entry_is_found_again_with_what_was_written_about_it(store):
    keep(store, "a-1")
    place = store.find("a-1")
    assert place is not None and (place / "file.txt").read_text() == "kept"
    assert store.about("a-1") == {"made_by": "test"}


def test_the_key_hangs_on_everything(store):
    keys = {
        content_key(kind, version, depends_on)
        for kind in ("brain", "score")
        for version in (1, 2)
        for depends_on in ({}, {"seed": 1}, {"seed": 2}, {"seed": "1"})
    }
    assert len(keys) == 16
    assert content_key("brain", 1, {"a": 1, "b": 2}) == content_key("brain", 1, {"b": 2, "a": 1})


def test_nothing_stays_of_an_entry_whose_maker_failed(store):
    with pytest.raises(ZeroDivisionError), store.new("a-1", {}) as folder:
        (folder / "file.txt").write_text("half")
        raise ZeroDivisionError
    assert store.find("a-1") is None and list(store.folder.iterdir()) == []


@pytest.mark.parametrize("harm", ["changed", "cut", "lost", "no_entry_file", "broken_entry_file"])
def test_a_damaged_entry_is_not_found_and_can_be_made_again(store, harm):
    keep(store, "a-1")
    place = store.folder / "a-1"
    if harm == "changed":
        (place / "file.txt").write_text("othr")
    elif harm == "cut":
        (place / "file.txt").write_text("k")
    elif harm == "lost":
        (place / "file.txt").unlink()
    elif harm == "no_entry_file":
        (place / ENTRY).unlink()
    else:
        (place / ENTRY).write_text("[1, 2")
    assert store.find("a-1") is None
    keep(store, "a-1", "again")
    assert (store.find("a-1") / "file.txt").read_text() == "again"


def test_a_file_of_another_size_is_noticed_without_reading_it(store):
    keep(store, "a-1")
    (store.folder / "a-1" / "file.txt").write_text("longer than before")
    assert store.find("a-1", check_content=False) is None


def test_of_two_processes_that_make_the_same_entry_the_first_one_stays(store):
    with store.new("a-1", {}) as folder:
        (folder / "file.txt").write_text("second")
        (store.folder / "a-1").mkdir()
        (store.folder / "a-1" / "file.txt").write_text("first")
    assert (store.folder / "a-1" / "file.txt").read_text() == "first"


def test_what_a_killed_process_left_is_removed_and_a_living_ones_is_not(store):
    code = f"""
import os
from pathlib import Path
from flairline.io.store import Store
with Store(Path({str(store.folder)!r})).new("a-1", {{}}) as folder:
    (folder / "file.txt").write_text("half")
    os._exit(9)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=False, env=environment, timeout=60)
    assert len(list(store.folder.glob(".part-*"))) == 1
    with store.new("b-1", {}) as folder:
        Store.at(store.folder)
        assert list(store.folder.glob(".part-*")) == [folder]


def test_a_full_disk_is_said_and_leaves_nothing(store):
    with pytest.raises(OutputError, match="No space left on device"), store.new("a-1", {}) as folder:
        (folder / "file.txt").write_text("half")
        raise OSError(28, "No space left on device")
    assert list(store.folder.iterdir()) == []
