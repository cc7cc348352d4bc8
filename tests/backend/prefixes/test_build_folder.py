"""Folders of builds that are no longer served are removed; no other folder, and none in use."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.prefixes.test_prefix_folder import BUILD, filled, opened
from processes import ROOT
from rowcast.backend.prefixes.build_folder import UNUSED_SECONDS, create_part, hold, release, sweep

OLD = time.time() - UNUSED_SECONDS - 60
HOLDING = """
import sys, pathlib
from rowcast.backend.prefixes.build_folder import hold
hold(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def unused(tmp_path: Path) -> Path:
    """The folder of a build, with a file, that nobody has used for long."""
    filled(tmp_path, 1)
    return aged(tmp_path / BUILD)


def aged(folder: Path) -> Path:
    for each in (*folder.iterdir(), folder):
        os.utime(each, (OLD, OLD), follow_symlinks=False)
    return folder


@pytest.fixture
def elsewhere(unused: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that uses the folder."""
    command = [sys.executable, "-c", HOLDING, str(unused)]
    source = {"PYTHONPATH": str(ROOT / "inference-api")}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=source) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        aged(unused)
        yield process
        process.kill()


def test_a_folder_that_was_unused_for_long_is_removed(unused: Path) -> None:
    sweep(unused.parent)
    assert not unused.exists()
    assert unused.parent.exists()


def test_a_backend_removes_them_when_it_starts(unused: Path) -> None:
    opened(unused.parent, "fedcba9876543210").close()
    assert [each.name for each in unused.parent.iterdir()] == ["fedcba9876543210"]


def test_its_own_folder_stays_however_old(unused: Path) -> None:
    store = opened(unused.parent)
    assert len(store) == 1
    aged(unused)
    sweep(unused.parent)
    assert len(list(unused.iterdir())) == 1
    store.close()
    sweep(unused.parent)
    assert unused.exists(), "it was used until now"


def test_the_folder_that_another_process_uses_stays(
    unused: Path, elsewhere: subprocess.Popen[bytes]
) -> None:
    sweep(unused.parent)
    assert unused.exists()
    elsewhere.kill()
    elsewhere.wait(20)
    sweep(unused.parent)
    assert not unused.exists()


def test_one_file_that_was_used_is_enough(unused: Path) -> None:
    (file,) = unused.iterdir()
    recently = time.time() - UNUSED_SECONDS + 3600
    os.utime(file, (recently, recently))
    sweep(unused.parent)
    assert unused.exists()


@pytest.mark.parametrize("what", ["file", "folder", "link", "name", "mode", "empty"])
def test_what_is_not_ours_stays(unused: Path, tmp_path: Path, what: str) -> None:
    (file,) = unused.iterdir()
    match what:
        case "file":
            (unused / "notes.txt").write_text("mine")
        case "folder":
            (unused / "more").mkdir()
        case "link":
            (unused / "link").symlink_to(tmp_path)
        case "name":
            file.rename(unused / "mine.prefix")
        case "empty":
            file.unlink()
    unused.chmod(0o755 if what == "mode" else 0o700)
    aged(unused)
    before = sorted(unused.iterdir())
    sweep(tmp_path)
    assert sorted(unused.iterdir()) == before


def test_a_link_to_a_folder_is_not_followed(unused: Path, tmp_path: Path) -> None:
    other = tmp_path / "prefixes"
    other.mkdir()
    (other / "linked").symlink_to(unused)
    (other / "notes.txt").write_text("mine")
    sweep(other)
    assert len(list(other.iterdir())) == 2
    assert unused.exists()


def test_a_folder_that_is_removed_meanwhile_is_created_again(tmp_path: Path) -> None:
    first = hold(tmp_path / BUILD)
    (tmp_path / BUILD).rmdir()
    second = hold(tmp_path / BUILD)
    assert (tmp_path / BUILD).is_dir()
    for each in (first, second):
        release(each)


@pytest.mark.parametrize("name", ["chmod", "mkdir"])
def test_a_folder_that_is_removed_while_it_is_opened_is_created_again(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another server may sweep it between any two calls."""
    folder, swept = tmp_path / BUILD, list[str]()
    folder.mkdir()
    call = getattr(Path, name)

    def late(path: Path, *arguments: Any, **named: Any) -> None:
        try:
            call(path, *arguments, **named)
        finally:
            if path == folder and not swept:
                swept.append(path.name)
                folder.rmdir()

    monkeypatch.setattr(Path, name, late)
    lock = hold(folder)
    assert swept
    assert folder.is_dir()
    release(lock)


def test_a_file_that_is_removed_before_it_is_locked_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, locked = tmp_path / f"{'0' * 32}.part", list[int]()
    flock = fcntl.flock

    def late(part: int, operation: int) -> None:
        if not locked:
            path.unlink()
        locked.append(part)
        flock(part, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    os.close(create_part(path))
    assert len(locked) == 2
    assert path.exists()
