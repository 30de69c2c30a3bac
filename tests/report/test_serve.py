"""The server: loopback only, inside its folder only, no verdict lost."""

from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest
from werkzeug.test import Client

from flairline.errors import InputError, OutputError
from flairline.report import serve, verdicts

HOST = "127.0.0.1:8377"
OURS = {"Origin": f"http://{HOST}"}


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    (folder / "sub-1").mkdir(parents=True)
    (folder / "index.html").write_text("<p>cohort")
    (folder / "sub-1" / "report.html").write_text("<p>scan")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / ".hidden").write_text("hidden")
    return folder


@pytest.fixture
def client(out):
    return Client(serve.App(out, 8377))


def get(client, path, host=HOST, **headers):
    return client.get(path, headers={"Host": host, **headers})


def post(client, body, host=HOST, headers=OURS, kind="application/json"):
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return client.post(serve.VERDICTS_URL, data=data, content_type=kind, headers={"Host": host, **headers})


def test_pages_are_served(client):
    assert get(client, "/").data == b"<p>cohort"
    answer = get(client, "/sub-1/report.html")
    assert answer.data == b"<p>scan"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert get(client, "/sub-2/report.html").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/sub-1/../../secret.txt",
        "/..%2fsecret.txt",
        "//etc/passwd",
        "/link.txt",
        "/.hidden",
        "/.verdicts.lock",
        "/sub-1",
    ],
)
def test_nothing_outside_the_folder_or_hidden_is_read(client, path):
    answer = get(client, path)
    assert answer.status_code in (404, 308)
    assert b"secret" not in answer.data
    assert b"root:" not in answer.data


@pytest.mark.parametrize(
    "host", ["evil.example:8377", "127.0.0.1", "127.0.0.1:9999", "127.0.0.1.evil.example:8377", ""]
)
def test_another_name_for_this_machine_is_refused(client, host):
    assert get(client, "/", host=host).status_code == 403
    assert post(client, {"subject": "sub-1", "verdict": "fail"}, host=host).status_code == 403


def test_another_sites_page_cannot_read_or_write(client, out):
    for origin in ("http://evil.example", "null", "https://127.0.0.1:8377", "http://127.0.0.1:1"):
        assert get(client, "/", Origin=origin).status_code == 403
        answer = post(client, {"subject": "sub-1", "verdict": "fail"}, headers={"Origin": origin})
        assert answer.status_code == 403
    assert post(client, {"subject": "sub-1", "verdict": "fail"}, headers={}).status_code == 403
    assert not (out / verdicts.FILE).exists()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"subject": "a", "verdict": "maybe"}, "application/json"),
        ({"subject": "a", "note": 3}, "application/json"),
        ({"subject": "a", "note": "x" * 501}, "application/json"),
        ({"subject": ""}, "application/json"),
        ({"verdict": "fail"}, "application/json"),
        ([], "application/json"),
        ("{", "application/json"),
        ({"subject": "a", "verdict": "fail"}, "text/plain"),
        ("x" * 20_000, "application/json"),
    ],
)
def test_what_is_no_verdict_is_refused(client, out, body, kind):
    assert 400 <= post(client, body, kind=kind).status_code < 500
    assert not (out / verdicts.FILE).exists()


def test_other_methods_are_refused(client):
    for method in (client.put, client.delete):
        assert method("/index.html", headers={"Host": HOST, **OURS}).status_code == 405
        assert method(serve.VERDICTS_URL, headers={"Host": HOST, **OURS}).status_code == 405


def test_a_verdict_is_on_disk_at_once_and_fields_join(client, out):
    assert post(client, {"subject": "sub-1", "scan_id": "ab", "verdict": "fail"}).status_code == 200
    assert verdicts.read(out / verdicts.FILE)["sub-1"].verdict == "fail"
    post(client, {"subject": "sub-1", "note": "moved"})
    post(client, {"subject": "sub-2", "verdict": "pass"})
    said = json.loads(get(client, serve.VERDICTS_URL).data)["verdicts"]
    assert (said["sub-1"]["verdict"], said["sub-1"]["note"], said["sub-1"]["scan_id"]) == ("fail", "moved", "ab")
    assert said["sub-2"]["verdict"] == "pass"


def test_many_tabs_at_once_lose_nothing(out):
    server = serve.Server(out)
    running = threading.Thread(target=server.run, daemon=True)
    running.start()
    headers = {"Content-Type": "application/json", "Origin": server.address.rstrip("/")}

    def tab(number):
        for scan in range(5):
            link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            body = json.dumps({"subject": f"sub-{number}-{scan}", "verdict": "pass"})
            link.request("POST", serve.VERDICTS_URL, body, headers)
            assert link.getresponse().status == 200
            link.close()

    tabs = [threading.Thread(target=tab, args=(number,)) for number in range(4)]
    for one in tabs:
        one.start()
    for one in tabs:
        one.join()
    assert len(verdicts.read(out / verdicts.FILE)) == 20
    with pytest.raises(InputError, match="Another flairline serve"):
        serve.Server(out)
    server.close()


def test_only_the_loopback_address_is_bound(out):
    server = serve.Server(out)
    try:
        (listening,) = {s.getsockname()[0] for s in _sockets(server)}
        assert listening == "127.0.0.1"
        with pytest.raises(OutputError, match="Choose another --port"):
            _second_folder(out, server.port)
    finally:
        server.close()
    serve.Server(out).close()  # the lock was let go


def _second_folder(out, port):
    other = out.parent / "other"
    other.mkdir()
    return serve.Server(other, port)


def _sockets(server) -> list[socket.socket]:
    return [server._server.socket]


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(InputError, match="Wanted a folder with reports"):
        serve.Server(tmp_path / "none")
