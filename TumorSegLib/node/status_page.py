"""The node's page of status, for this computer alone; it names no patient and needs no script."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from markupsafe import Markup

from TumorSegLib.errors import OutputError, TumorSegError, escaped
from TumorSegLib.node.status import Status, read_status
from TumorSegLib.support.page_templates import page_templates, policy_hash

TEMPLATES = Path(__file__).parent / "templates"
HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
"""By which the page may be asked for; another one is a stranger's page in the user's browser."""


def page_of(status: Status) -> str:
    """Return the page."""
    style = (TEMPLATES / "status.css").read_text("utf-8")
    pages = page_templates(TEMPLATES, lambda one: escaped(one) if type(one) is str else one)
    return pages.get_template("status.html").render(
        status=status,
        css=Markup(style),  # noqa: S704 - ours
        css_hash=policy_hash(style),
    )


class StatusPage:
    """Serves the page, made anew at each call."""

    def __init__(self, place: Path, port: int) -> None:
        self._place, self._port = place, port
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            OutputError: the port is taken.
        """
        try:
            server = ThreadingHTTPServer(
                (HOST, self._port), _handler(lambda: page_of(read_status(self._place)))
            )
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else error.strerror
            raise OutputError(
                f"port {self._port} of the page {reason}; name another one in page_port, or 0"
            ) from None
        server.daemon_threads = True
        self._server = server
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _handler(page: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers with the page, and to nothing else."""

        timeout = 10
        server_version, sys_version = "TumorSeg", ""

        def do_GET(self) -> None:
            """Answer."""
            name = (self.headers.get("Host") or "").rpartition(":")[0]
            if name not in NAMES or self.path != "/":
                self.send_error(404)
                return
            try:
                content = page().encode("utf-8")
            except TumorSegError:
                self.send_error(503)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler
