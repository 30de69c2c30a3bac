"""The pages on the loopback address, and verdicts saved at once.

Binds to 127.0.0.1 only. Every request must name that address as its Host (so that no other name can be made to lead
here), and what changes something must come from a page of this very server (Origin). Nothing outside the folder is
read. One server a folder writes verdicts, one request at a time, and a request changes only the fields it names, so
two tabs do not lose each other's.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from werkzeug.exceptions import HTTPException
from werkzeug.security import safe_join
from werkzeug.utils import send_file
from werkzeug.wrappers import Request, Response

from flairline.errors import InputError, OutputError
from flairline.report import verdicts

ADDRESS = "127.0.0.1"
VERDICTS_URL = "/-/verdicts"
MAX_BODY_BYTES = 16_384
LOCK = ".verdicts.lock"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class App:
    """The WSGI application of one folder, reached at 127.0.0.1 (or localhost) and one port."""

    def __init__(self, out: Path, port: int) -> None:
        self.out = out.resolve()
        self.file = self.out / verdicts.FILE
        self.hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
        self.origins = {f"http://{host}" for host in self.hosts}
        self.writing = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = MAX_BODY_BYTES
        try:
            response = self.answer(request)
        except HTTPException as error:
            response = _text(error.code or 500, error.name)
        response.headers.update(HEADERS)
        return response(environ, start_response)

    def answer(self, request: Request) -> Response:
        """The answer to one request."""
        if request.headers.get("Host", "").lower() not in self.hosts:
            return _text(403, "This server answers to 127.0.0.1 only.")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self.origins:
            return _text(403, "This page is not one of this server's.")
        if request.path == VERDICTS_URL:
            return self._save(request, origin) if request.method == "POST" else self._verdicts(request)
        if request.method not in ("GET", "HEAD"):
            return _text(405, "Only reading is possible here.")
        path = self._inside(request.path)
        if path is None or not path.is_file():
            return _text(404, "There is no such page.")
        return send_file(path, request.environ, mimetype=None if path.suffix != ".gz" else "application/gzip")

    def _inside(self, address: str) -> Path | None:
        """The file of an address, None if it would lie outside the folder (links followed) or is hidden."""
        joined = safe_join(str(self.out), address.lstrip("/"))
        if joined is None or any(part.startswith(".") for part in Path(address).parts if part != "/"):
            return None
        path = Path(joined).resolve()
        if path.is_dir():
            path = (path / "index.html").resolve()
        return path if path.is_relative_to(self.out) else None

    def _verdicts(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _text(405, "GET or POST.")
        return _json({"format": verdicts.FORMAT, "verdicts": {k: asdict(v) for k, v in self._read().items()}})

    def _save(self, request: Request, origin: str | None) -> Response:
        if origin is None:
            return _text(403, "A verdict must come from a page of this server.")
        if request.mimetype != "application/json":
            return _text(415, "Wanted application/json.")
        body = json.loads(request.get_data() or b"null") if _is_json(request) else None
        if not isinstance(body, dict) or not isinstance(body.get("subject"), str) or not body["subject"]:
            return _text(400, "Wanted a JSON object with a subject.")
        fields = {key: body[key] for key in ("verdict", "note", "scan_id") if key in body}
        if any(not isinstance(value, str) for value in fields.values()) or len(body["subject"]) > MAX_BODY_BYTES // 16:
            return _text(400, "Wanted texts.")
        if fields.get("verdict", "") not in verdicts.VERDICTS or len(fields.get("note", "")) > verdicts.MAX_NOTE:
            return _text(400, "Wanted pass, fail or artefact, and a note of at most 500 characters.")
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self.writing:
            try:
                verdicts.write(self.file, verdicts.changed(self._read(), body["subject"], at, **fields))
            except (OutputError, InputError) as error:
                return _text(500, str(error))
        return _json({"saved": body["subject"], "at": at})

    def _read(self) -> dict[str, verdicts.Verdict]:
        return verdicts.read(self.file) if self.file.exists() else {}


class Server:
    """A running server: `address` to open, `run` to answer until `close`.

    Raises
    ------
    InputError
        There is no such folder, or another server writes its verdicts.
    OutputError
        The port is taken, or the folder cannot be written to.
    """

    def __init__(self, out: Path, port: int = 0) -> None:
        from waitress.server import create_server

        if not out.is_dir():
            msg = f"Wanted a folder with reports, but there is none at {out}. Name the folder given to -o."
            raise InputError(msg)
        self._lock = FileLock(out / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            msg = f"Another flairline serve writes the verdicts of {out}. Use its page, or stop it first."
            raise InputError(msg) from error
        except OSError as error:
            msg = f"Cannot write to {out}: {error.strerror}. Make it writable, or open the pages as files."
            raise OutputError(msg) from error
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((ADDRESS, port))
        except OSError as error:
            self._lock.release()
            listening.close()
            msg = f"Cannot listen on {ADDRESS}:{port}: {error.strerror}. Choose another --port."
            raise OutputError(msg) from error
        self.port = int(listening.getsockname()[1])
        self.address = f"http://{ADDRESS}:{self.port}/"
        self._server = create_server(App(out, self.port), sockets=[listening], threads=4, ident="flairline")

    def run(self) -> None:
        """Answer requests until interrupted or closed."""
        try:
            self._server.run()
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening and let another server write."""
        self._server.close()
        self._lock.release()


def _is_json(request: Request) -> bool:
    try:
        json.loads(request.get_data() or b"null")
    except ValueError:
        return False
    return True


def _json(content: Any) -> Response:
    return Response(json.dumps(content), mimetype="application/json")


def _text(status: int, words: str) -> Response:
    return Response(words + "\n", status=status, mimetype="text/plain")
