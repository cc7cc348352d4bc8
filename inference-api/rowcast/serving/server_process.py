"""The process of a server: a child that takes over a listening socket."""

import socket
import sys
from collections.abc import Mapping

from rowcast.serving.become_gunicorn import LISTENS
from rowcast.serving.child_process import ChildProcess
from rowcast.serving.output import Output

_COMMAND = (sys.executable, "-P", "-m", "rowcast.serving.become_gunicorn")


class ServerProcess(ChildProcess):
    """One running server."""

    def __init__(
        self, environment: Mapping[str, str], output: Output, listener: socket.socket
    ) -> None:
        """`listener`: a listening socket that the server takes over."""
        descriptor = listener.fileno()
        given = {**environment, LISTENS: str(descriptor)}
        super().__init__("server", _COMMAND, given, output, descriptors=[descriptor])
        self._listener = listener

    def release(self) -> None:
        """Close this process's copies of the output and the listening socket."""
        super().release()
        self._listener.close()
