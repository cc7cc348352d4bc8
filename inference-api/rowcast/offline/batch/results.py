"""The output file, which continues where a killed run ended.

    OUT.partial        the lines so far, in the input's order
    OUT.partial.json   what they were computed from; written before the first of them
    OUT                the whole, renamed from OUT.partial

A killed run may leave half a line at the end, which is removed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping
from io import BufferedWriter
from pathlib import Path
from typing import Any

from rowcast.errors import RowcastError
from rowcast.offline.batch.lines import count_lines

_BLOCK = 1 << 20
_CREATED = "created"


class CannotContinue(RowcastError):
    """The output is there, and not of this batch; the text says what to do."""


class Results:
    """The files of one output."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f"{path.name}.partial")
        self._about = path.with_name(f"{path.name}.partial.json")

    def finished(self, lines: int) -> bool:
        """True if the output is there. Raises CannotContinue if it has another number of lines."""
        if not self.path.exists():
            return False
        there = count_lines(self.path)
        if there != lines:
            raise CannotContinue(
                f"{self.path} exists and has {there} lines for {lines} requests; remove it, or "
                "name another output"
            )
        self._about.unlink(missing_ok=True)  # a run was killed before its last step
        return True

    def open(self, about: Mapping[str, object], created: int) -> "OpenResults":
        """Begin, or continue what was computed from the same. Raises CannotContinue.

        `created`: when the batch was, unless it continues one.
        """
        file = self.partial.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.partial.stat().st_size:
                created = self._created(about)
            _replace(self._about, json.dumps({**about, _CREATED: created}).encode())
            return OpenResults(self, file, created)
        except BlockingIOError as error:
            file.close()
            raise CannotContinue(f"{self.partial} is being written by another run") from error
        except BaseException:
            file.close()
            raise

    def finish(self) -> None:
        """Turn the lines so far into the output."""
        self.partial.rename(self.path)
        self._about.unlink(missing_ok=True)

    def _created(self, about: Mapping[str, object]) -> int:
        """Return when the batch was created that is continued. Raises CannotContinue."""
        before: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            before = json.loads(self._about.read_bytes())
        changed = [name for name, value in about.items() if before.get(name) != value]
        if changed:
            raise CannotContinue(
                f"{self.partial} was begun with another {' and '.join(changed)}; remove it to "
                "begin anew"
            )
        return int(before[_CREATED])


class OpenResults:
    """An output that is being written, by this process alone."""

    def __init__(self, results: Results, file: BufferedWriter, created: int) -> None:
        self._results = results
        self._file = file
        self.created = created
        self.done = _drop_half_line(results.partial)  # lines that are written

    def add(self, line: bytes) -> None:
        """Append a line; it stays, whatever happens to this process."""
        self._file.write(line)
        self._file.flush()

    def finish(self) -> None:
        """Make it the output."""
        os.fsync(self._file.fileno())
        self._results.finish()

    def close(self) -> None:
        self._file.close()


def digest_of(path: Path) -> str:
    """Return a digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _drop_half_line(path: Path) -> int:
    """Remove what follows the last end of a line; return the number of lines before it."""
    lines = size = 0
    with path.open("rb+") as file:
        while block := file.read(_BLOCK):
            lines += block.count(b"\n")
            if (last := block.rfind(b"\n")) >= 0:
                size = file.tell() - len(block) + last + 1
        file.truncate(size)
    return lines


def _replace(path: Path, content: bytes) -> None:
    """Write a file; readers see the old one or the new one, whole."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
