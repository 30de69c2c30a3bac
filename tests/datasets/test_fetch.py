"""Fetching, against a server on the loopback address."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flairline.cases.fetch import RemoteFile, fetch
from flairline.datasets.mslub import Dataset


class Handler(SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self):
        type(self).asked.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    handler = type("Recorder", (Handler,), {"asked": []})
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{running.server_address[1]}", handler.asked
    running.shutdown()
    thread.join()


def files(folder: Path, address: str, names: tuple[str, ...], known: bool = True) -> list[RemoteFile]:
    made = []
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 50)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if known else None
        made.append(RemoteFile(name, f"{address}/{name}", sha256))
    return made


def run(wanted: list[RemoteFile], folder: Path) -> list[str]:
    told: list[tuple[str, int, int]] = []
    statuses = [one.status for one in fetch(wanted, folder, lambda *step: told.append(step))]
    assert told[-1][1:] == (len(wanted), len(wanted))
    return statuses


def test_files_arrive_whole_and_are_not_fetched_twice(server, tmp_path):
    folder, address, asked = server
    wanted = files(folder, address, ("a/one.nii.gz", "a/two.nii.gz"))
    assert run(wanted, tmp_path / "got") == ["fetched", "fetched"]
    assert (tmp_path / "got" / "a" / "one.nii.gz").read_bytes() == (folder / "a" / "one.nii.gz").read_bytes()
    assert run(wanted, tmp_path / "got") == ["was there already"] * 2
    assert len(asked) == 2


def test_goes_on_after_what_was_cut_off(server, tmp_path):
    folder, address, asked = server
    wanted = files(folder, address, ("one.nii.gz", "two.nii.gz"))
    assert run(wanted[:1], tmp_path / "got") == ["fetched"]
    (tmp_path / "got" / "two.nii.gz").write_bytes(b"half")
    assert run(wanted, tmp_path / "got") == ["was there already", "fetched"]
    assert asked == ["/one.nii.gz", "/two.nii.gz"]


def test_a_wrong_hash_and_a_missing_file_are_named_and_the_rest_is_done(server, tmp_path):
    folder, address, _ = server
    one, two, three = files(folder, address, ("one", "two", "three"))
    (folder / "one").write_bytes(b"something else")
    (folder / "two").unlink()
    outcomes = list(fetch([one, two, three], tmp_path / "got", lambda *_: None))
    assert [outcome.status for outcome in outcomes] == ["failed", "failed", "fetched"]
    assert "hash" in outcomes[0].error
    assert "404" in outcomes[1].error
    assert sorted(path.name for path in (tmp_path / "got").iterdir()) == ["three"]


def test_without_a_known_hash_it_says_so(server, tmp_path):
    folder, address, _ = server
    assert run(files(folder, address, ("one",), known=False), tmp_path / "got") == ["fetched, not verified"]


def test_command_line(server, tmp_path, flairline, monkeypatch):
    folder, address, _ = server
    wanted = files(folder, address, ("cross_sectional/x/one", "cross_sectional/x/two"))
    monkeypatch.setattr(Dataset, "remote_files", classmethod(lambda cls, part="": wanted))
    done = flairline("datasets", "fetch", "mslub", "-o", tmp_path / "got")
    assert done.code == 0
    assert "2 fetched" in done.out
    assert (tmp_path / "got" / "mslub" / "cross_sectional" / "x" / "two").exists()
    (folder / "cross_sectional" / "x" / "one").unlink()
    (tmp_path / "got" / "mslub" / "cross_sectional" / "x" / "one").unlink()
    done = flairline("datasets", "fetch", "mslub", "-o", tmp_path / "got")
    assert done.code == 1
    assert "cross_sectional/x/one" in done.err


def test_what_mslub_would_get():
    wanted = Dataset.remote_files()
    assert len(wanted) == 150
    assert len({file.path for file in wanted}) == 150
    assert all(file.url.endswith(file.path) and file.sha256 is None for file in wanted)
    in_mni = {file.path: file.sha256 for file in Dataset.remote_files("MNI")}
    known = [sha256 for sha256 in in_mni.values() if sha256]
    assert len(known) == 33  # 29 truths, two FLAIRs, two T1s
    assert all(len(sha256) == 64 for sha256 in known)


def test_hashes_are_those_of_the_real_files(real_data):
    wanted = {file.path: file.sha256 for file in Dataset.remote_files("MNI")}
    path = "cross_sectional/MNI/patient07/FLAIR_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"
    content = (real_data / "mslub" / "patient07" / "flair.nii.gz").read_bytes()
    assert hashlib.sha256(content).hexdigest() == wanted[path]
