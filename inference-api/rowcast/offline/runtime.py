"""One model for this program: its decoder in a child process, its text side in this one.

    begin     start the decoder's process, and connect
    wait      return once it is ready, or raise with its own message
    check     start it again if it was killed; raise if it has given up
    close     end everything

The decoder is a launcher with its backend (`decoder_process`), which restarts a backend that
crashes; this module restarts a launcher. Replies in progress continue after either.
"""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

from rowcast.errors import InvalidField, RowcastError
from rowcast.frontend.models.maker import ModelMaker
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.sessions.journal import NoJournal
from rowcast.launch.exit_status import GIVEN_UP
from rowcast.offline.keywords import settings_of
from rowcast.offline.struct_types import describe_structs
from rowcast.serving.child_process import ChildProcess
from rowcast.serving.output import output_to
from rowcast.settings import Settings
from rowcast.transport.socket_folder import socket_folder

_COMMAND = (sys.executable, "-P", "-m", "rowcast.offline.decoder_process")
LOOK_SECONDS = 0.02
RESTARTS = 5  # of a launcher that was killed


class Runtime:
    """The processes and the text side of one model."""

    def __init__(
        self,
        model: str | PathLike[str],
        keywords: Mapping[str, Any],
        log: str | PathLike[str] | None = None,
    ) -> None:
        """Load the text side; start nothing. Raises RowcastError."""
        settings = settings_of(model, keywords)
        describe_structs()
        self._owner = os.getpid()
        self._log = log
        self._restarts = 0
        self._closed = False
        self._restarting = threading.Lock()
        self._folder = socket_folder("rowcast-llm-")
        try:
            self.settings = settings.replaced(backend_socket=str(self._folder / "decoder.sock"))
            self.served = _served(self.settings)
            self._process = self._new_process()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def begin(self, connect: Callable[[], None] | None = None) -> None:
        """Start the process. `connect` starts the served model; by default, its own `start`."""
        self._process.start()
        (connect or self.served.start)()

    @property
    def ready(self) -> bool:
        """True if the decoder accepts prompts."""
        return self.served.sessions.health().ready

    def wait(self) -> None:
        """Return once the decoder is ready. Raises RowcastError with the reason if that fails."""
        limit = time.monotonic() + self.settings.load_seconds
        while not self.ready:
            self.check()
            if time.monotonic() > limit:
                raise RowcastError(f"the model is not ready after {self.settings.load_seconds:g} s")
            time.sleep(LOOK_SECONDS)

    def check(self) -> None:
        """Restart a decoder that was killed. Raises RowcastError if no reply can come any more."""
        if os.getpid() != self._owner:
            raise RowcastError(
                "this LLM belongs to the process that made it; make another one after the fork"
            )
        if self._closed:
            raise RowcastError("this LLM was closed; make another one")
        with self._restarting:
            if self._process.ended.is_set():
                self._restart()

    def close(self) -> None:
        """End everything that was started. After a fork, do nothing in the child."""
        if self._closed or os.getpid() != self._owner:
            return
        self._closed = True
        self.served.close()
        self._process.stop(0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _restart(self) -> None:
        status = self._process.status
        if status in GIVEN_UP or self._restarts == RESTARTS:
            raise RowcastError(f"the decoder ended: {self._process.reason()}")
        self._restarts += 1
        self._folder.mkdir(mode=0o700, exist_ok=True)  # one that was stopped removes it
        self._process = self._new_process()
        self._process.start()

    def _new_process(self) -> ChildProcess:
        output = output_to(self._log, self._folder / "decoder.log")
        return ChildProcess("decoder", _COMMAND, _environment(self.settings), output)


def _served(settings: Settings) -> ServedModel:
    """Load tokenizer, template and defaults. Raises RowcastError."""
    socket = str(settings.backend_socket)
    try:
        served = ModelMaker(settings, NoJournal()).make(settings, lambda: socket)
    except (OSError, ValueError) as error:
        raise InvalidField("model", f"cannot be loaded: {error}") from error
    return replace(served, prepares_helpers=False, observers=())


def _environment(settings: Settings) -> dict[str, str]:
    """Return this process's variables, with the settings instead of the variables of servers."""
    known = {variable for field in Settings.fields.values() for variable in field.variables}
    others = {name: value for name, value in os.environ.items() if name.upper() not in known}
    return {**others, **settings.environment()}
