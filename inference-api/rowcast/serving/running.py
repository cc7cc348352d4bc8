"""A running server, for the program that started it.

    ready, wait_ready     true once the models of its start are loaded
    generate, stream      a completion, whole or as it is generated
    load, unload          a model, by hand
    change                other models, without interrupting a stream
    wait, stop            its end

`Folder` has its files, and is removed at the end.
"""

import atexit
import http.client
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rowcast.errors import RowcastError
from rowcast.serving.client import Client, message_of
from rowcast.serving.model import Model, Named, named
from rowcast.serving.server_process import ServerProcess
from rowcast.settings import Settings

LOOK_SECONDS = 0.1  # between two requests for its readiness


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one running server."""

    path: Path

    @property
    def models(self) -> Path:
        return self.path / "models.json"

    @property
    def log(self) -> Path:
        return self.path / "server.log"

    @property
    def journal(self) -> Path:
        return self.path / "journal.db"

    def write(self, models: Mapping[str, Model]) -> None:
        """Write the file of models; readers see the old one or the new one, whole."""
        entries = {name: model.entry() for name, model in models.items()}
        new = self.path / "models.json.new"
        new.write_text(json.dumps(entries, indent=2) + "\n")
        new.replace(self.models)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class RunningServer:
    """A server in a process of its own. Leaving its `with` block stops it."""

    def __init__(
        self,
        process: ServerProcess,
        client: Client,
        folder: Folder,
        settings: Settings,
        default: str,
    ) -> None:
        """`default`: the model of requests that name none."""
        self._process = process
        self._client = client
        self._folder = folder
        self._settings = settings
        self._default = default
        self._owner = os.getpid()
        self._stopped = False

    @property
    def url(self) -> str:
        """Its address on this machine."""
        host = f"[{self._client.host}]" if ":" in self._client.host else self._client.host
        return f"http://{host}:{self._client.port}"

    @property
    def port(self) -> int:
        return self._client.port

    @property
    def client(self) -> Client:
        """Sends requests to the routes that have no method here."""
        return self._client

    @property
    def default(self) -> str:
        """The name of the model of requests that name none."""
        return self._default

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> Path | None:
        """The log file; None if the log goes to standard error."""
        return self._process.log

    def begin(self) -> None:
        """Start the process."""
        atexit.register(self.stop)
        self._process.start()

    def ready(self) -> bool:
        """True if the models of its start are loaded."""
        return self._status() == 200

    def wait_ready(self, timeout: float | None = None) -> None:
        """Return once it is ready. Raises RowcastError with the reason if that fails."""
        seconds = self._settings.load_seconds if timeout is None else timeout
        limit = time.monotonic() + seconds
        while (status := self._status()) != 200:
            if self._process.ended.wait(LOOK_SECONDS):
                raise self._failure()
            if status == 503 and (problem := self._failed_loads()):
                raise RowcastError(problem)
            if time.monotonic() > limit:
                raise RowcastError(f"the server is not ready after {seconds:g} s")

    def wait(self) -> None:
        """Return when it has been stopped. Raises RowcastError if it ends by itself."""
        self._process.ended.wait()
        if not self._stopped:
            raise self._failure()

    def stop(self) -> None:
        """Let open streams finish within GRACEFUL_SECONDS, then end it. Ctrl-C ends it at once."""
        if self._stopped or os.getpid() != self._owner:
            return
        self._stopped = True
        atexit.unregister(self.stop)
        try:
            self._process.stop(self._settings.graceful_seconds)
        except KeyboardInterrupt:
            self._process.send(signal.SIGQUIT)  # gunicorn's quick shutdown
            self._process.stop(0)
        finally:
            self._folder.remove()

    def change(self, models: Named | Mapping[str, Named]) -> None:
        """Serve other models within a few seconds; running streams finish on their builds."""
        self._folder.write(named(models))

    def load(self, name: str) -> None:
        """Start to load a model; `models` shows its state."""
        self._client.post("/models/load", {"model": name})

    def unload(self, name: str) -> None:
        """Unload a model as soon as no request uses it."""
        self._client.post("/models/unload", {"model": name})

    def models(self) -> list[dict[str, Any]]:
        """Return what `GET /v1/models` lists."""
        status, listed = self._client.get("/v1/models")
        if status >= 400:
            raise RowcastError(message_of(listed))
        models: list[dict[str, Any]] = listed["data"]
        return models

    def generate(self, prompt: str, *, model: str | None = None, **parameters: Any) -> str:
        """Return a completion; `parameters` are those of `POST /v1/completions`."""
        answer = self._client.post("/v1/completions", self._body(prompt, model, parameters))
        return str(answer["choices"][0]["text"])

    def stream(self, prompt: str, *, model: str | None = None, **parameters: Any) -> Iterator[str]:
        """Yield the same text as it is generated. Closing the iterator cancels the reply."""
        body = self._body(prompt, model, parameters) | {"stream": True}
        for event in self._client.events("/v1/completions", body):
            for choice in event["choices"]:
                if choice["text"]:
                    yield choice["text"]

    def _body(
        self, prompt: str, model: str | None, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {"n": 1, **parameters, "model": model or self._default, "prompt": prompt}

    def _status(self) -> int:
        """Return the status of /readiness; 0 without an answer, and after `stop`."""
        if self._stopped:
            return 0
        try:
            return self._client.get("/readiness", seconds=5.0)[0]
        except (OSError, http.client.HTTPException):
            return 0

    def _failed_loads(self) -> str:
        """Return which models failed to load, and why; empty if none did so far."""
        try:
            models = self.models()
        except (OSError, http.client.HTTPException, RowcastError):
            return ""
        failed = [each for each in models if each["status"].get("failed")]
        return "; ".join(f"{each['id']}: {each['status']['reason']}" for each in failed)

    def _failure(self) -> RowcastError:
        return RowcastError(
            f"the server ended with status {self._process.status}: {self._process.reason()}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
