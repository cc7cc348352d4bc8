"""The journal's own process: takes calls from one frontend over a socket, many per transaction.

    python -m rowcast.journal.service PATH OWNER KEEP_SECONDS REPLY_SECONDS RESULT_SECONDS LIMIT

The socket is its standard input. A process, not a thread: it does not share the GIL with the
streams, and a slow disk blocks only this process. Ends with the frontend, at EOF.
"""

import operator
import pickle
import socket
import sqlite3
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rowcast.journal.journal import Journal

# A method of Journal, such as `begin` or `background.find`, and its arguments.
Call = tuple[str, tuple[Any, ...]]

_LENGTH = struct.Struct("!I")


def send(link: socket.socket, value: object) -> None:
    """Send one frame. The other end is our own process, so it may be a pickle."""
    data = pickle.dumps(value)
    link.sendall(_LENGTH.pack(len(data)) + data)


def receive(link: socket.socket) -> Any:
    """Return the next frame's value. Raises EOFError at the end."""
    (length,) = _LENGTH.unpack(_exactly(link, _LENGTH.size))
    return pickle.loads(_exactly(link, length))  # noqa: S301  # see `send`


def _exactly(link: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = link.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def answer(journal: Journal, calls: Sequence[Call]) -> list[Any] | str:
    """Return the calls' results, once durable, or the reason why nothing was done."""
    try:
        return _results(journal, calls)
    except (sqlite3.Error, OSError) as fault:
        journal.close()  # so that a repaired or replaced file is opened afresh
        return str(fault) or type(fault).__name__


def _results(journal: Journal, calls: Sequence[Call]) -> list[Any]:
    """Return the results of all calls; if they do not fit, delete the oldest streams and retry."""
    try:
        return _tried(journal, calls)
    except sqlite3.OperationalError as fault:
        if fault.sqlite_errorcode != sqlite3.SQLITE_FULL or not journal.make_room():
            raise
        return _tried(journal, calls)


def _tried(journal: Journal, calls: Sequence[Call]) -> list[Any]:
    with journal.transaction():
        return [operator.attrgetter(method)(journal)(*arguments) for method, arguments in calls]


def main(arguments: Sequence[str]) -> None:
    """Serve until the frontend is gone."""
    path, owner, keep, reply, result, limit = arguments
    journal = Journal(
        Path(path),
        owner=owner,
        keep_seconds=float(keep),
        reply_seconds=float(reply),
        result_seconds=float(result),
        limit=int(limit),
    )
    link = socket.socket(fileno=sys.stdin.fileno())
    try:
        while True:
            send(link, answer(journal, receive(link)))
    except (EOFError, OSError):
        journal.close()


if __name__ == "__main__":
    main(sys.argv[1:])
