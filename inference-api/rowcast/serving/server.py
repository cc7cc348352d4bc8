"""A server described in Python: one model or several by name, and settings.

    Server(Model("storyteller")).fire(port=8000)              serves until Ctrl-C
    with Server({"story": "storyteller"}).start() as server:  serves beside this program
        server.generate("Once upon a time")

Writes the file of models, makes the variables of `gunicorn.conf.py`, and starts the server.
"""

import difflib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from rowcast.errors import InvalidField, RowcastError
from rowcast.models.catalog import read_catalog
from rowcast.models.file.faults import InvalidCatalog
from rowcast.serving.client import Client
from rowcast.serving.listening_socket import listen
from rowcast.serving.model import Named, named
from rowcast.serving.output import output_to
from rowcast.serving.running import Folder, RunningServer
from rowcast.serving.server_process import ServerProcess
from rowcast.settings import Settings
from rowcast_settings.fields import InvalidSettings

PORT = 7000
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # and an address to connect to from here
# Settings that follow from the models, from `start` and `fire`, and from how the server is started.
OWN = {"model", "models", "model_name", "mock_model", "backend_socket", "host", "port"}
_OWN_VARIABLES = {
    *(name.upper() for name in OWN),
    *("ROWCAST_LAUNCHED_BY", "ROWCAST_MODELS_SOCKET", "ROWCAST_PARENT"),  # of another server
    *("LISTEN_FDS", "LISTEN_PID"),
}


class Server:
    """Models and settings of a server, which can be started any number of times."""

    def __init__(self, models: Named | Mapping[str, Named], **settings: Any) -> None:
        """`models`: one, or several by the name that requests use; the first is the default.

        `settings`: those of docs/settings.md, in small letters. Raises RowcastError.
        """
        self.models = named(models)
        self._settings = {name: value for name, value in settings.items() if value is not None}
        _check_settings(self._settings)

    def start(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        log: str | PathLike[str] | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> RunningServer:
        """Start the server in a process of its own, which ends with this one at the latest.

        `port`: 0 for a free one. `log`: a file to append to, "stderr", or None for a file that is
        removed at the end. `wait`: return once it is ready, within `timeout` seconds (LOAD_SECONDS
        by default). Raises RowcastError with the server's own message if it does not start.
        """
        running = self._prepared(port, host, log)
        try:
            running.begin()
            if wait:
                running.wait_ready(timeout)
        except BaseException:
            running.stop()
            raise
        return running

    def fire(
        self,
        port: int = PORT,
        host: str = "127.0.0.1",
        *,
        log: str | PathLike[str] | None = "stderr",
    ) -> None:
        """Serve until Ctrl-C or SIGTERM; then let open streams finish. A second one ends them."""
        try:
            with _terminable(), self._prepared(port, host, log) as running:
                running.begin()
                running.wait_ready()
                _print(f"Rowcast serves {', '.join(self.models)} at {running.url}; Ctrl-C stops it")
                running.wait()
        except KeyboardInterrupt:
            _print("Stopped.")

    def _prepared(self, port: int, host: str, log: str | PathLike[str] | None) -> RunningServer:
        """Return a server that is ready to be started."""
        listener = listen(host, port)
        taken = int(listener.getsockname()[1])
        folder = Folder(Path(tempfile.mkdtemp(prefix="rowcast-server-")))
        try:
            folder.write(self.models)
            settings = self._settings_for(host, taken, folder, fresh=port == 0)
            _check_models(settings)
            output = output_to(log, folder.log)
            process = ServerProcess(_environment(settings, folder), output, listener)
        except BaseException:
            listener.close()
            folder.remove()
            raise
        client = Client(EVERYWHERE.get(host, host), taken, _headers(settings))
        return RunningServer(process, client, folder, settings, next(iter(self.models)))

    def _settings_for(self, host: str, port: int, folder: Folder, *, fresh: bool) -> Settings:
        """Return the server's settings; `fresh`: port and journal are new at each start."""
        given: dict[str, Any] = dict(self._settings)
        if fresh and "JOURNAL" not in os.environ:
            given.setdefault("journal", str(folder.journal))
        given |= {"models": folder.models, "host": host, "port": port}
        try:
            return Settings(**given)
        except InvalidSettings as error:
            variable, _, problem = error.faults[0].partition(": ")
            name = variable.lower()
            value = given.get(name, os.environ.get(variable))
            raise InvalidField(name, f"is {value!r}: {problem}") from error


def _check_settings(names: Iterable[str]) -> None:
    known = [name for name in Settings.fields if name not in OWN]
    for name in names:
        if name in OWN:
            raise InvalidField(name, "is not set here; give it to Model, start() or fire()")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; docs/settings.md lists them"
            raise InvalidField(name, f"is not a setting of the server{hint}")


def _headers(settings: Settings) -> dict[str, str]:
    """Return the headers with which this program may use a server that serves its proxy alone."""
    if settings.proxy_secret is None:
        return {}
    secret = settings.proxy_secret.get_secret_value()
    return {"X-Rowcast-Proxy-Secret": secret, "X-Rowcast-Admin": "true"}


def _check_models(settings: Settings) -> None:
    """Raise RowcastError if a model is not there, before a process is started."""
    try:
        read_catalog(settings)
    except InvalidCatalog as error:
        raise RowcastError("; ".join(fault.problem for fault in error.faults)) from error


def _environment(settings: Settings, folder: Folder) -> dict[str, str]:
    """Return this process's variables with those of the settings over them."""
    inherited = {
        name: value for name, value in os.environ.items() if name.upper() not in _OWN_VARIABLES
    }
    ours = {
        name: value
        for name, value in settings.environment().items()
        if name not in _OWN_VARIABLES - {"HOST", "PORT", "MODELS"}
    }
    return {**inherited, **ours, "ROWCAST_REMOVES": str(folder.path)}


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, if this is the main thread; no other receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
