"""A small server for tests of the abuse scripts; the path decides how it behaves.

/good        200, a JSON body with the number of bytes received
/silent      nothing, forever
/cut         half of a body
/stream      a stream's id
anything     404
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Seen:
    """The requests received, and the server's port."""

    port: int
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


def _handler(seen: Seen) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.paths.append(self.path)
            seen.headers.append(dict(self.headers.items()))
            if self.path == "/silent":
                seen.over.wait(20)
            elif self.path == "/cut":
                self._answer(200, b"half of it", announced=100)
                self.close_connection = True
            elif self.path == "/good":
                self._answer(200, json.dumps({"bytes": len(body)}).encode())
            elif self.path == "/stream":
                self._answer(200, b"{}", {"X-Stream-ID": "5eed"})
            else:
                self._answer(404, b"{}")

        do_GET = do_POST  # noqa: N815  # the name is the standard library's

        def _answer(
            self,
            status: int,
            body: bytes,
            headers: dict[str, str] | None = None,
            announced: int | None = None,
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(announced or len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextlib.contextmanager
def answering() -> Iterator[Seen]:
    """The server, on a free port, until the block ends."""
    seen = Seen(0)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(seen)) as server:
        server.daemon_threads = True
        seen.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield seen
        finally:
            seen.over.set()
            server.shutdown()
            thread.join()
