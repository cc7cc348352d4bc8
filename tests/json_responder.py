"""A small HTTP server on this machine with the answers of a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

Respond = Callable[[str, str, bytes], tuple[int, bytes]]


@contextmanager
def responding(respond: Respond) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Serve on a port of this machine; yield its address, and the headers of each request."""
    received: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(dict(self.headers))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = respond(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Write nothing to the tests' output."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()
