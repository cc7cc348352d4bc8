"""The store's entries as files, so that a system prompt is warm after a restart or a crash.

    PREFIX_FOLDER/FINGERPRINT/RANDOM.prefix     one entry of one build
        magic, digest │ length, header (JSON) │ tokens │ what the cache held

Readable by nobody but the owner. A thread reads what an earlier backend left, the latest first, and
then writes and removes files, so that no step waits for a disk. A file that is damaged, cut short
or of another build is removed; one that cannot be read now stays. Names are random: they reveal no
prompt. Several backends may share a folder: each may remove what another one has in its store.
"""

import contextlib
import errno
import hashlib
import json
import logging
import os
import queue
import secrets
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from io import BufferedReader
from mmap import mmap
from pathlib import Path
from typing import BinaryIO

from rowcast.backend.prefixes.beginnings import SIZE
from rowcast.backend.prefixes.build_folder import (
    PART,
    SUFFIX,
    create_part,
    hold,
    release,
    remove_parts,
    sweep,
)
from rowcast.backend.prefixes.store import Entry
from rowcast.errors import RowcastError

MAGIC = b"rowcast prefix 1"
DIGEST_BYTES = 32
LONGEST_HEADER = 1 << 16
MOST_PENDING = 256  # files to be written, touched or removed
CLOSING_SECONDS = 5.0

_LENGTH = struct.Struct("<I")
_log = logging.getLogger("rowcast.backend")


class DamagedFile(Exception):
    """A file holds no entry of this build."""


class PrefixFolder:
    """The files of one build, as a mirror of its store."""

    def __init__(self, folder: Path, fingerprint: str, token_bytes: int, limit: int) -> None:
        self._folder = folder / fingerprint
        self._build: dict[str, object] = {"fingerprint": fingerprint, "token_bytes": token_bytes}
        self._token_bytes = token_bytes
        self._limit = limit
        self._arrived: deque[Entry] = deque()
        self._pending: queue.Queue[Callable[[], None] | None] = queue.Queue(MOST_PENDING)
        try:
            self._lock = hold(self._folder)
        except OSError as error:
            raise RowcastError(
                f"PREFIX_FOLDER {str(folder)!r} cannot be used: {error.strerror}; choose a folder "
                "that the server may write to"
            ) from error
        self._thread = threading.Thread(target=self._run, name="prefix-folder", daemon=True)
        self._thread.start()

    def write(self, entry: Entry) -> None:
        entry.name = secrets.token_hex(16)
        self._note(lambda: self._write(entry))

    def touch(self, entry: Entry) -> None:
        path = self._path(entry)
        self._note(lambda: os.utime(path))

    def remove(self, entry: Entry) -> None:
        path = self._path(entry)
        self._note(lambda: path.unlink(missing_ok=True))

    def arrived(self) -> Iterator[Entry]:
        while self._arrived:
            yield self._arrived.popleft()

    def close(self) -> None:
        with contextlib.suppress(queue.Full):
            self._pending.put(None, timeout=CLOSING_SECONDS)
        self._thread.join(CLOSING_SECONDS)
        release(self._lock)

    def _path(self, entry: Entry) -> Path:
        return self._folder / f"{entry.name}{SUFFIX}"

    def _note(self, work: Callable[[], None]) -> None:
        try:
            self._pending.put_nowait(work)
        except queue.Full:
            _log.warning("prefixes: the disk is too slow: a file is not written")

    def _run(self) -> None:
        try:
            self._read_all()
            sweep(self._folder.parent)
        except OSError as error:
            _log.warning("prefixes: the folder cannot be read: %s", error.strerror)
        while (work := self._pending.get()) is not None:
            try:
                work()
            except FileNotFoundError:
                continue  # another process removed it
            except OSError as error:
                _log.warning("prefixes: a file cannot be written: %s", error.strerror)

    def _read_all(self) -> None:
        """Read files, the latest first, as many as fit; remove all others."""
        remove_parts(self._folder)
        room, began, count = self._limit, time.monotonic(), 0
        for path in sorted(self._folder.glob(f"*{SUFFIX}"), key=_changed, reverse=True):
            try:
                entry = self._read(path, room)
            except DamagedFile as problem:
                _log.warning("prefixes: a file was removed: %s", problem)
                _remove(path)
                continue
            except FileNotFoundError:
                continue  # another process removed it
            except OSError as error:
                _log.warning("prefixes: a file cannot be read: %s", error.strerror)
                continue
            room -= entry.size
            count += 1
            self._arrived.append(entry)
        if count:
            seconds = time.monotonic() - began
            _log.info("prefixes read=%d bytes=%d seconds=%.2f", count, self._limit - room, seconds)

    def _read(self, path: Path, room: int) -> Entry:
        """Read an entry of at most `room` bytes. Raises DamagedFile, OSError."""
        with _open(path) as file:
            size = os.fstat(file.fileno()).st_size
            if _exactly(file, len(MAGIC)) != MAGIC:
                raise DamagedFile("it holds no prefix")
            digest = _exactly(file, DIGEST_BYTES)
            (length,) = _LENGTH.unpack(_exactly(file, _LENGTH.size))
            header = _exactly(file, min(length, LONGEST_HEADER))
            key, count = self._checked(header)
            saved = count * self._token_bytes
            if size != file.tell() + count * SIZE + saved:
                raise DamagedFile("it was cut short")
            if count * SIZE + saved > room:
                raise DamagedFile("PREFIX_MEMORY has no room for it")
            tokens, memory = _exactly(file, count * SIZE), mmap(-1, saved)
            file.readinto(memory)
        if _digest(header, tokens, memory) != digest:
            raise DamagedFile("its digest is wrong")
        return Entry(key, tokens, memory, name=path.name.removesuffix(SUFFIX))

    def _checked(self, header: bytes) -> tuple[str, int]:
        """Return the key and the number of tokens of an entry of this build."""
        try:
            words = json.loads(header)
            key, count = words.pop("key"), words.pop("tokens")
        except (ValueError, AttributeError, KeyError, RecursionError) as error:
            raise DamagedFile("its header cannot be read") from error
        if words != self._build or type(key) is not str or type(count) is not int or count < 1:
            raise DamagedFile("it is of another build")
        return key, count

    def _write(self, entry: Entry) -> None:
        saved = entry.saved  # the store may drop it meanwhile
        if saved is None:
            return
        count = len(entry.tokens) // SIZE
        header = json.dumps({**self._build, "key": entry.key, "tokens": count}).encode()
        path = self._path(entry)
        part = path.with_suffix(PART)
        try:
            with os.fdopen(create_part(part), "wb") as file:
                file.write(MAGIC + _digest(header, entry.tokens, saved))
                file.write(_LENGTH.pack(len(header)) + header)
                file.write(entry.tokens)
                file.write(saved)
                file.flush()
                part.replace(path)  # while it is locked: unlocked, it looks abandoned
        except OSError:
            _remove(part)
            raise


def _digest(header: bytes, tokens: bytes, saved: mmap | memoryview) -> bytes:
    digest = hashlib.blake2b(header, digest_size=DIGEST_BYTES)
    digest.update(tokens)
    digest.update(saved)
    return digest.digest()


def _open(path: Path) -> BufferedReader:
    """Open a file of ours; not what a link leads to. Raises DamagedFile, OSError."""
    try:
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DamagedFile("it is a link") from error
        raise
    return os.fdopen(found, "rb")


def _exactly(file: BinaryIO, count: int) -> bytes:
    found = file.read(count)
    if len(found) < count:
        raise DamagedFile("it was cut short")
    return found


def _changed(path: Path) -> float:
    """Return when a file was last used; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return path.lstat().st_mtime
    return 0.0


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
