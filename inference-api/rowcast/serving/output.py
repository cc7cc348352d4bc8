"""The output of a child process: to a file, or forwarded to this process's standard error.

Both have its last lines, of which those that begin with `rowcast: ` say why it ended.
"""

import os
import sys
import threading
from collections import deque
from os import PathLike
from pathlib import Path
from typing import Protocol

SENTENCE = "rowcast: "
_MOST = 20  # lines that are stored


class Output(Protocol):
    """The place to which a child process writes."""

    @property
    def descriptor(self) -> int:
        """The file descriptor that the child gets as standard output and standard error."""

    @property
    def path(self) -> Path | None:
        """The file, if there is one."""

    def release(self) -> None:
        """Close the descriptor in this process, now that the child has its own."""

    def lines(self) -> list[str]:
        """Return the last lines, once the child has ended."""


class FileOutput:
    """Appends to a file."""

    def __init__(self, path: Path) -> None:
        self.path: Path | None = path
        self._file = path
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self.descriptor = os.open(path, flags, 0o600)
        self._begin = os.fstat(self.descriptor).st_size

    def release(self) -> None:
        os.close(self.descriptor)

    def lines(self) -> list[str]:
        with self._file.open("rb") as file:
            file.seek(self._begin)
            return list(deque((line.decode(errors="replace").rstrip() for line in file), _MOST))


class ForwardedOutput:
    """Copies lines to `sys.stderr` as they arrive; a notebook shows them on its page."""

    path: Path | None = None

    def __init__(self) -> None:
        self._read, self.descriptor = os.pipe()
        self._lines: deque[str] = deque(maxlen=_MOST)
        self._reader = threading.Thread(target=self._forward, name="rowcast-log", daemon=True)

    def release(self) -> None:
        os.close(self.descriptor)
        self._reader.start()

    def lines(self) -> list[str]:
        if self._reader.ident is not None:
            self._reader.join(timeout=5)  # a process that the child left behind would hold it open
        return list(self._lines)

    def _forward(self) -> None:
        with os.fdopen(self._read, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._lines.append(line.rstrip())
                sys.stderr.write(line)
                sys.stderr.flush()


def output_to(log: str | PathLike[str] | None, otherwise: Path) -> Output:
    """Return an output to a file, or to standard error if `log` is "stderr"."""
    return ForwardedOutput() if log == "stderr" else FileOutput(Path(log or otherwise))


def sentences(lines: list[str]) -> str:
    """Return why a process ended: its own sentences, or else the end of its log."""
    own = [line.removeprefix(SENTENCE) for line in lines if line.startswith(SENTENCE)]
    return "; ".join(dict.fromkeys(own)) or " / ".join(lines[-3:])
