"""Reports of a launcher and its backend to the supervisor, and its answer, over one pipe.

    launcher ──▶ supervisor    Started, Needs, Stage, Refused, BackendEnded
    backend  ──▶ supervisor    Stage, Serving, Refused: over the launcher's end, which it inherits
    supervisor ──▶ launcher    a grant: the memory that it needs is reserved

A report that cannot be sent is dropped: a launcher ends with its supervisor.
"""

import contextlib
from multiprocessing.connection import Connection

import msgspec

GRANTED = b"granted"
LONGEST_REASON = 1000  # characters, so that a report is one small write


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The fork server has forked this launcher."""

    pid: int


class Needs(msgspec.Struct, frozen=True, tag="needs"):
    """The memory of this build once it is loaded. Answered by a grant."""

    size: int  # bytes
    arithmetic: str


class Stage(msgspec.Struct, frozen=True, tag="stage"):
    """What loading does now."""

    text: str


class Serving(msgspec.Struct, frozen=True, tag="serving"):
    """A backend accepts prompts."""

    fingerprint: str
    context_length: int


class BackendEnded(msgspec.Struct, frozen=True, tag="ended"):
    """A backend has ended, and the launcher starts another."""

    status: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """This build cannot be served."""

    reason: str


Report = Started | Needs | Stage | Serving | BackendEnded | Refused

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Report).decode


class Reports:
    """The launcher's end of its pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def send(self, report: Report) -> None:
        """Send a report; do nothing if the supervisor has ended."""
        with contextlib.suppress(OSError):
            self._pipe.send_bytes(encode(report))

    def refused(self, error: Exception) -> None:
        """Report why this build cannot be served."""
        self.send(Refused(str(error)[:LONGEST_REASON]))

    def await_grant(self) -> None:
        """Wait until the memory is reserved. Raises EOFError if the supervisor has ended."""
        while self._pipe.recv_bytes() != GRANTED:
            pass


class NoReports(Reports):
    """For a backend without a supervisor."""

    def __init__(self) -> None:
        """Open no pipe."""

    def send(self, report: Report) -> None:
        """Do nothing."""
