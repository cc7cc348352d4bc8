"""The servers for the clients' programs, and controls to disturb their decoder.

`CALM` is instant. `CALLING` has a small model in files, which calls tools of its own accord. `SLOW`
takes 50 ms per step and keeps its streams; programs that are tested under disturbance use it, and
request disturbances over HTTP: POST /kill, /stand-still for 20 s, or /settle, which returns when a
decoder serves.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from contract.calling_model import save_calling
from processes import (
    ROOT,
    SERVER,
    Running,
    free_port,
    running,
    running_proxy,
    running_server,
    until,
)

SECRETS = {
    "JWT_SECRET": "a-secret-for-the-clients-tests-only-0",
    "PROXY_SECRET": "shared-by-both-processes-of-the-tests",
}
TEMPLATE = Path(__file__).resolve().parent / "template.jinja"
CALM: Mapping[str, str] = {}
SLOW: Mapping[str, str] = {"STEP_SECONDS": "0.05", "STALL_SECONDS": "90", "PREFIX_SCOPE": "off"}
CALLING: Mapping[str, str] = {"MODEL_NAME": "caller", "DTYPE": "float32", "JOURNAL": "off"}
STANDS_STILL, LOADING = 20.0, 120.0

Variables = dict[str, str]


@contextmanager
def stack(folder: Path, settings: Mapping[str, str]) -> Iterator[Variables]:
    """A server with its proxy, as the variables by which programs find them."""
    page = free_port()  # of the web page that the proxy allows
    origin = {"PROXY_CORS_ORIGINS": f"http://127.0.0.1:{page}"}
    env = {**SECRETS, **origin, "CHAT_TEMPLATE": str(TEMPLATE), **settings}
    if settings is SLOW:
        env["JOURNAL"] = str(folder / "journal.db")
    with (
        _server(folder, env, settings) as server,
        running_proxy(folder, server, env=env) as proxy,
        _control(server) as control,
    ):
        yield {
            "ROWCAST_URL": proxy.url,
            "ROWCAST_TOKEN": _token(),
            "ROWCAST_CONTROL": control,
            "ROWCAST_PAGE_PORT": str(page),
        }


def _server(
    folder: Path, env: Mapping[str, str], settings: Mapping[str, str]
) -> AbstractContextManager[Running]:
    if settings is not CALLING:
        return running_server(folder, env=env)
    port, model = free_port(), save_calling(folder / "caller")
    own = {**env, "MODEL": str(model), "PORT": str(port)}
    return running(SERVER, port, folder / "server.log", env=own, patience=LOADING)


def _token() -> str:
    jwt = [sys.executable, "scripts/jwt_util.py", "--secret", SECRETS["JWT_SECRET"]]
    made = subprocess.run(
        [*jwt, "encode", '{"team_id": "clients", "token_id": "tests"}'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return made.stdout.strip()


@contextmanager
def _control(server: Running) -> Iterator[str]:
    """An address of this process that disturbs the server's decoder on request."""
    standing: list[threading.Timer] = []
    deeds: dict[str, Callable[[], object]] = {
        "/settle": lambda: _settle(server, standing),
        "/kill": lambda: server.backend().kill(),
        "/stand-still": lambda: standing.append(_stand_still(server)),
    }

    class Control(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            deeds[self.path]()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Control) as listening:
        thread = threading.Thread(target=listening.serve_forever, name="control")
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def _stand_still(server: Running) -> threading.Timer:
    backend = server.backend()
    backend.suspend()
    timer = threading.Timer(STANDS_STILL, backend.resume)
    timer.start()
    return timer


def _settle(server: Running, standing: list[threading.Timer]) -> None:
    while standing:
        standing.pop().join()
    until(server.ready, "a backend serves")
