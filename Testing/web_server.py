"""A web server on this computer that answers as a test says."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def web_server(name):
    """A server that answers with `server.answer(handler)` and notes what is asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            httpd.answer(self)

        def do_POST(self):
            self.content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.do_GET()

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.handle_error = lambda *_: None  # clients that hang up are meant to
    httpd.asked = asked
    httpd.url = f"http://127.0.0.1:{httpd.server_port}/{name}"
    threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield httpd
    finally:
        httpd.shutdown()
        httpd.server_close()


def sends(content, *, promised=None, code=200, kind=""):
    def answer(handler):
        handler.send_response(code)
        if kind:
            handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(promised or len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def leads(place, *, code=302):
    def answer(handler):
        handler.send_response(code)
        handler.send_header("Location", place)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def waits(handler):
    """Say nothing until the client hangs up."""
    handler.rfile.read(1)
