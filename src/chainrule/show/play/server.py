"""The playground's server: on this machine only, for one page, until Ctrl-C.

It listens on the loopback address. Every request must carry the secret of the page's address, and name this host, so
that other pages open in the same browser can neither read nor steer it.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chainrule.errors import ChainruleError, OptionError
from chainrule.networks import UNITS
from chainrule.show.play.data import MADE_UP, Data, made_up
from chainrule.show.play.session import OPTIMIZERS, PENALTIES, Session, Settings

#: bytes of a request's body at most
MOST_BODY = 100_000


class Playground:
    """What the page talks to: the data there are, and the session under way.

    Parameters
    ----------
    table : Data, optional
        The user's own, shown first.
    """

    def __init__(self, table: Data | None = None) -> None:
        self.table = table
        self.secret = secrets.token_urlsafe(16)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        data = table or made_up("circles")
        self.session = Session(data, Settings.of({}, data))

    def choices(self) -> dict[str, list[str]]:
        """What there is to choose from."""
        own = [self.table.name] if self.table is not None else []
        return {
            "data": [*own, *MADE_UP],
            "unit": [name for name, unit in UNITS.items() if unit.name == name],  # each under one name
            "penalty": list(PENALTIES),
            "optimizer": list(OPTIMIZERS),
        }

    def set(self, record: dict[str, Any]) -> None:
        """Begin anew with other data or settings; a refused change leaves everything as it was."""
        with self._lock:
            name = record.get("data", self.session.data.name)
            if self.table is not None and name == self.table.name:
                data = self.table
            else:
                data = self.session.data if name == self.session.data.name else made_up(str(name))
            session = Session(data, Settings.of(record, data))
            self._pause()
            session.pace = self.session.pace
            self.session = session

    def do(self, action: str, position: int = 0) -> None:
        """Run, pause, step, go back, or start anew; `position` is the moment to go back to, or the pace."""
        with self._lock:
            session = self.session
            if action == "pace":
                session.pace = max(0, position)
                return
            if action == "run":
                if self._thread is None or not self._thread.is_alive():
                    session.message = ""
                    self._thread = threading.Thread(target=session.run, name="chainrule playground", daemon=True)
                    self._thread.start()
                return
            self._pause()
            if action == "step":
                session.step()
            elif action == "epoch":
                session.epoch()
            elif action == "back":
                session.back(position)
            elif action == "reset":
                self.session = Session(session.data, session.settings)
                self.session.pace = session.pace
            elif action != "pause":
                raise OptionError(f"there is no action {action!r}")

    def _pause(self) -> None:
        self.session.pause()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Stop training."""
        with self._lock:
            self._pause()

    def model_file(self) -> bytes:
        """The network as it is now, as a model file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "playground.chainrule"
            self.session.model().save(path)
            return path.read_bytes()

    def graph_page(self) -> str:
        """The network's graph for the first row, to step through."""
        from chainrule.show.drawing import draw

        data = self.session.data
        return draw(self.session.model(), data.X[0], data.y[0], title=f"{data.name}, first row").html


def page() -> str:
    """The page, which needs nothing besides this server."""
    assets = files("chainrule.show").joinpath("assets")
    read = {name: assets.joinpath(f"play.{name}").read_text("utf-8") for name in ("html", "css", "js")}
    return read["html"].replace("/*style*/", read["css"]).replace("/*script*/", read["js"])


def serve(playground: Playground, port: int = 0) -> ThreadingHTTPServer:
    """A server that is bound but not yet running; ``serve_forever`` runs it.

    Raises
    ------
    OptionError
        If the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(self._get)

        def do_POST(self) -> None:
            self._answer(self._post)

        def _answer(self, make: Callable[[str], tuple[int, str, bytes]]) -> None:
            address = urlsplit(self.path)
            given = parse_qs(address.query).get("key", [""])[0]
            host = self.headers.get("Host", "")
            own = host.rpartition(":")[0] in ("127.0.0.1", "localhost")
            if not own or not secrets.compare_digest(given.encode(), playground.secret.encode()):
                self._send(403, "text/plain", b"open the address that chainrule play printed\n")
                return
            try:
                self._send(*make(address.path))
            except ChainruleError as error:
                self._send(400, "application/json", json.dumps({"error": str(error)}).encode())

        def _get(self, path: str) -> tuple[int, str, bytes]:
            session = playground.session
            if path == "/":
                return 200, "text/html; charset=utf-8", page().encode()
            if path == "/about":
                return 200, "application/json", _json({**session.about(), "choices": playground.choices()})
            if path == "/state":
                return 200, "application/json", _json(session.state())
            if path == "/version":
                return 200, "application/json", _json([session.version, session.running])
            if path == "/code":
                return 200, "text/x-python; charset=utf-8", session.code().encode()
            if path == "/model":
                return 200, "application/octet-stream", playground.model_file()
            if path == "/graph":
                return 200, "text/html; charset=utf-8", playground.graph_page().encode()
            return 404, "text/plain", b"there is no such page\n"

        def _post(self, path: str) -> tuple[int, str, bytes]:
            size = int(self.headers.get("Content-Length", "0") or 0)
            if not 0 <= size <= MOST_BODY:
                raise OptionError("the request is too long")
            try:
                record = json.loads(self.rfile.read(size) or b"{}")
            except ValueError:
                raise OptionError("the request is not JSON") from None
            if not isinstance(record, dict):
                raise OptionError("the request is not an object")
            if path == "/set":
                playground.set(record)
            elif path == "/do":
                playground.do(str(record.get("action")), int(record.get("position", 0)))
            else:
                return 404, "text/plain", b"there is no such page\n"
            return 200, "application/json", b"{}"

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("X-Frame-Options", "DENY")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing of every request."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise OptionError(f"port {port} cannot be listened on ({error.strerror or error}); choose another") from None
    server.daemon_threads = True
    return server


def address(server: ThreadingHTTPServer, playground: Playground) -> str:
    """Where the page is."""
    return f"http://127.0.0.1:{server.server_address[1]}/?key={playground.secret}"


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()
