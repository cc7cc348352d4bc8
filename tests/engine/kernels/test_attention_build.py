"""The folder of compiled kernels: built once, rebuilt if broken, refused if not ours.

Covers `kernels/build`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rowcast.engine.kernels.build import COMPILERS, KernelUnavailable, cache_folder, load_kernel

INFERENCE_API = Path(__file__).resolve().parents[3] / "inference-api"
LOAD = """
import sys
from pathlib import Path
from rowcast.engine.kernels.build import load_kernel
print(load_kernel(Path(sys.argv[1]), Path(sys.argv[2])).library.answer())
"""
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "small.c"
    path.write_text("int answer(void) { return 42; }\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kernels"


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_it_is_built_once(source: Path, folder: Path) -> None:
    assert load_kernel(source, folder).library.answer() == 42
    first = only_file(folder).stat()
    assert load_kernel(source, folder).library.answer() == 42
    second = only_file(folder).stat()
    assert (first.st_ino, first.st_mtime_ns) == (second.st_ino, second.st_mtime_ns)


def test_nobody_else_may_enter(source: Path, folder: Path) -> None:
    folder.mkdir(mode=0o755)
    load_kernel(source, folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert only_file(folder).stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_another_source_is_another_build(source: Path, folder: Path) -> None:
    first = load_kernel(source, folder)
    source.write_text("int answer(void) { return 43; }\n")
    second = load_kernel(source, folder)
    assert (first.library.answer(), second.library.answer()) == (42, 43)
    assert first.key != second.key


def test_another_included_file_is_another_build(source: Path, folder: Path) -> None:
    header = source.with_name("number.h")
    source.write_text('#include "number.h"\nint answer(void) { return NUMBER; }\n')
    header.write_text("#define NUMBER 45\n")
    first = load_kernel(source, folder)
    header.write_text("#define NUMBER 46\n")
    second = load_kernel(source, folder)
    assert (first.library.answer(), second.library.answer()) == (45, 46)


def test_another_machine_is_another_build(source: Path, folder: Path) -> None:
    source.write_text("int answer(void) { return 44; }\n")
    machine = "x86-64" if os.uname().machine == "x86_64" else "armv8-a"
    assert load_kernel(source, folder).key != load_kernel(source, folder, machine).key


@pytest.mark.slow
@pytest.mark.parametrize("keep", [0, 10, 1000, -1])
def test_a_broken_file_is_rebuilt(source: Path, folder: Path, keep: int) -> None:
    load_kernel(source, folder)
    built = only_file(folder)
    whole = built.read_bytes()
    broken = built.with_suffix(".broken")
    broken.write_bytes(whole[:keep])
    broken.chmod(0o700)
    broken.replace(built)
    assert run_elsewhere(source, folder) == "42"
    assert len(only_file(folder).read_bytes()) == len(whole)


def test_a_file_that_others_can_write_is_rebuilt(source: Path, folder: Path) -> None:
    load_kernel(source, folder)
    only_file(folder).chmod(0o777)
    load_kernel(source, folder)
    assert only_file(folder).stat().st_mode & 0o777 == 0o700


@as_root
def test_a_file_of_somebody_else_is_rebuilt(source: Path, folder: Path) -> None:
    load_kernel(source, folder)
    os.chown(only_file(folder), 12345, 12345)
    assert load_kernel(source, folder).library.answer() == 42
    assert only_file(folder).stat().st_uid == os.getuid()


@as_root
def test_a_folder_of_somebody_else_is_left_alone(source: Path, folder: Path) -> None:
    folder.mkdir(mode=0o777)
    os.chown(folder, 12345, 12345)
    assert load_kernel(source, folder).library.answer() == 42
    assert not list(folder.iterdir())


def test_a_link_is_not_followed(source: Path, folder: Path, tmp_path: Path) -> None:
    load_kernel(source, folder)
    built = only_file(folder)
    built.rename(tmp_path / "elsewhere.so")
    built.symlink_to(tmp_path / "elsewhere.so")
    assert load_kernel(source, folder).library.answer() == 42
    assert not only_file(folder).is_symlink()


@pytest.mark.slow
def test_several_processes_build_at_once(source: Path, folder: Path) -> None:
    builders = [start_elsewhere(source, folder) for _ in range(4)]
    assert [builder.communicate(timeout=60)[0].strip() for builder in builders] == ["42"] * 4
    assert only_file(folder).suffix == ".so"


def test_what_does_not_compile_is_told_and_leaves_nothing(source: Path, folder: Path) -> None:
    source.write_text("int answer(void) { return nothing_known; }\n")
    with pytest.raises(KernelUnavailable, match="nothing_known"):
        load_kernel(source, folder)
    assert not list(folder.iterdir())


def test_the_compiler_is_run_for_its_macros_once(
    source: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = Compiler(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{compiler.folder}:{os.environ['PATH']}")
    compiler.write("")
    first = load_kernel(source, folder).key
    assert load_kernel(source, folder).key == first
    assert compiler.runs_for_macros() == 1
    compiler.write("-DANOTHER_COMPILER")
    assert load_kernel(source, folder).key != first
    assert compiler.runs_for_macros() == 2


class Compiler:
    """This machine's, behind a script that may add an option and lists the runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._real = next(found for name in COMPILERS if (found := shutil.which(name)))
        folder.mkdir()

    def write(self, option: str) -> None:
        new = self.folder / "new"
        runs = self.folder / "runs"
        new.write_text(f'#!/bin/sh\necho "$*" >> {runs}\nexec {self._real} {option} "$@"\n')
        new.chmod(0o700)
        new.replace(self.folder / "cc")

    def runs_for_macros(self) -> int:
        runs = (self.folder / "runs").read_text().splitlines()
        return sum("-dM" in run for run in runs)


def test_where_builds_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "rowcast"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine" / "rowcast"


def start_elsewhere(source: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, str(source), str(folder)],
        env={**os.environ, "PYTHONPATH": str(INFERENCE_API)},
        stdout=subprocess.PIPE,
        text=True,
    )


def run_elsewhere(source: Path, folder: Path) -> str:
    """Load it in a new process, since this one still maps the complete file."""
    return start_elsewhere(source, folder).communicate(timeout=60)[0].strip()
