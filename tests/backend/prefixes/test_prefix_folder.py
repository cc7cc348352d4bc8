"""What the store holds survives its process in private files, and no other file is believed."""

import errno
import logging
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.prefixes.test_store import CELL, tokens
from rowcast.backend.prefixes.build_folder import create_part
from rowcast.backend.prefixes.prefix_folder import DIGEST_BYTES, MAGIC, PrefixFolder
from rowcast.backend.prefixes.store import Store
from rowcast.errors import RowcastError

BUILD = "0123456789abcdef"
LIMIT = 1 << 20
SECRET = "key of the team"


def opened(folder: Path, fingerprint: str = BUILD, limit: int = LIMIT) -> Store:
    """Return a store over the folder, with what that holds."""
    mirror = PrefixFolder(folder, fingerprint, CELL, limit)
    store = Store(limit, CELL, mirror)
    _settle(mirror)
    store.receive()
    return store


def _settle(mirror: PrefixFolder) -> None:
    """Wait until the thread has done all that was noted."""
    done: list[bool] = []
    mirror._note(lambda: done.append(True))
    for _ in range(1000):
        if done:
            return
        time.sleep(0.01)
    raise AssertionError("the thread does nothing")


def save(number: int) -> Callable[[int], memoryview]:
    return lambda count: memoryview(bytearray([number]) * (count * CELL))


def filled(folder: Path, *numbers: int) -> None:
    """Leave files behind, the last number written last."""
    store = opened(folder)
    for number in numbers:
        store.put(SECRET, tokens(number, 300), save(number))
    store.close()
    for at, path in enumerate(sorted(files(folder), key=lambda path: path.stat().st_ctime_ns)):
        os.utime(path, (at, at))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def numbers(store: Store, *wanted: int) -> list[bool]:
    found = [store.longest(SECRET, tokens(number, 300)) for number in wanted]
    for number, each in zip(wanted, found, strict=True):
        if each and each[1] == 300:
            assert each[0].saved is not None
            assert bytes(each[0].saved) == bytes([number]) * 300 * CELL
    return [each is not None and each[1] == 300 for each in found]


def test_entries_come_back_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path, 1, 2)
    store = opened(tmp_path)
    assert (len(store), numbers(store, 1, 2, 3)) == (2, [True, True, False])


def test_files_are_private_and_reveal_nothing_by_their_names(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (path,) = files(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    filled(tmp_path / "again", 1)
    (again,) = files(tmp_path / "again")
    assert again.name != path.name
    assert SECRET not in str(path)


def damaged(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def replaced_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def nested(path: Path) -> None:
    """Replace the header by one that nests too deep to be parsed."""
    path.write_bytes(MAGIC + bytes(DIGEST_BYTES) + struct.pack("<I", 60_000) + b"[" * 60_000)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: damaged(path, 0), id="magic"),
        pytest.param(lambda path: damaged(path, 30), id="digest"),
        pytest.param(lambda path: damaged(path, 49), id="length"),
        pytest.param(lambda path: damaged(path, 56), id="header"),
        pytest.param(lambda path: damaged(path, -4000), id="tokens"),
        pytest.param(lambda path: damaged(path, -1), id="cells"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1]), id="short"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"x"), id="long"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), id="link"),
        pytest.param(replaced_by_pipe, id="pipe"),
        pytest.param(nested, id="nested"),
    ],
)
def test_a_damaged_file_is_removed_with_one_line(
    tmp_path: Path, harm: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, 1, 2)
    first = min(files(tmp_path), key=lambda path: path.stat().st_mtime)
    harm(first)
    with caplog.at_level(logging.WARNING, "rowcast.backend"):
        store = opened(tmp_path)
    assert numbers(store, 1, 2) == [False, True]
    assert len(caplog.records) == 1
    assert not first.is_symlink()
    assert not first.exists()


def test_another_build_finds_nothing_and_a_foreign_file_is_removed(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (path,) = files(tmp_path)
    assert len(opened(tmp_path, "another")) == 0
    assert path.exists(), "each build has a folder of its own"
    moved = tmp_path / "another" / path.name
    path.rename(moved)
    assert len(opened(tmp_path, "another")) == 0
    assert not moved.exists()


def test_it_is_bounded_and_the_latest_come_first(tmp_path: Path) -> None:
    filled(tmp_path, 1, 2, 3)
    store = opened(tmp_path, limit=2 * 300 * (CELL + 4))
    assert numbers(store, 1, 2, 3) == [False, True, True]
    assert len(files(tmp_path)) == 2
    store.put(SECRET, tokens(4, 300), save(4))
    store.close()
    assert len(files(tmp_path)) == 2, "an entry that leaves takes its file along"


def test_a_file_that_was_left_unfinished_is_removed(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    part = tmp_path / BUILD / "x.part"
    part.write_bytes(b"half")
    other = tmp_path / BUILD / "notes.txt"
    other.write_text("mine")
    opened(tmp_path)
    assert (part.exists(), other.exists()) == (False, True)


def test_a_file_that_another_backend_writes_now_is_completed(tmp_path: Path) -> None:
    """A backend that starts meanwhile must not take it for one that was left behind."""
    first = opened(tmp_path)
    part = tmp_path / BUILD / f"{'0' * 32}.part"
    with os.fdopen(create_part(part), "wb") as file:
        second = opened(tmp_path)
        file.write(b"half")
        assert part.exists()
    first.close()
    second.close()
    opened(tmp_path).close()
    assert not part.exists()


def test_files_that_cannot_be_read_now_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be the work of days, and what is missing may be a descriptor."""
    filled(tmp_path, 1, 2)
    open_file = os.open

    def short(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if str(path).endswith(".prefix"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return open_file(path, flags, *rest, **named)

    with caplog.at_level(logging.WARNING, "rowcast.backend"), monkeypatch.context() as patched:
        patched.setattr(os, "open", short)
        assert len(opened(tmp_path)) == 0
    assert "cannot be read: Too many open files" in caplog.text
    assert numbers(opened(tmp_path), 1, 2) == [True, True]


def test_a_file_that_another_backend_removes_meanwhile_is_no_problem(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, 1, 2)
    first = min(files(tmp_path), key=lambda path: path.stat().st_mtime)

    def changed(_: Path) -> float:
        first.unlink(missing_ok=True)
        return 0.0

    monkeypatch.setattr("rowcast.backend.prefixes.prefix_folder._changed", changed)
    with caplog.at_level(logging.WARNING, "rowcast.backend"):
        assert numbers(opened(tmp_path), 1, 2) == [False, True]
    assert not caplog.records


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RowcastError, match="cannot be used: Not a directory"):
        PrefixFolder(tmp_path / "file", BUILD, CELL, LIMIT)


def test_a_disk_that_fails_costs_no_more_than_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = PrefixFolder(tmp_path, BUILD, CELL, LIMIT)
    _settle(mirror)
    (tmp_path / BUILD).rename(tmp_path / "gone")
    (tmp_path / BUILD).write_text("")
    store = Store(LIMIT, CELL, mirror)
    with caplog.at_level(logging.WARNING, "rowcast.backend"):
        store.put(SECRET, tokens(1, 300), save(1))
        store.close()
    assert numbers(store, 1) == [True]
    assert "Not a directory" in caplog.text
