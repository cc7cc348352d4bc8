"""The C files: no compiler warns, and the key of a build covers every file that it includes."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from rowcast.engine.kernels.build import COMPILERS, FLAGS, files_of

ROOT = Path(__file__).resolve().parents[3]
PLACES = ("inference-api", "scripts")
C_FILES = sorted(file for place in PLACES for file in (ROOT / place).rglob("*.c"))
# The ABI of vectors matters between files, and every function that passes them is inlined.
STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-O0", "-c", "-o", os.devnull)
COMPILER = next(filter(None, map(shutil.which, COMPILERS)), None)
INTEL = os.uname().machine == "x86_64"
MACHINES = ("x86-64", "haswell", "sapphirerapids") if INTEL else ("native",)

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")


def compile_with(*options: str) -> subprocess.CompletedProcess[str]:
    assert COMPILER is not None
    command = [COMPILER, *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("source", C_FILES, ids=lambda file: file.stem)
def test_no_compiler_warns(source: Path, machine: str) -> None:
    flags = [flag for flag in FLAGS if flag != "-w"]
    done = compile_with(*flags, *STRICT, f"-march={machine}", str(source))
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("source", C_FILES, ids=lambda file: file.stem)
def test_the_key_covers_what_the_compiler_reads(source: Path) -> None:
    done = compile_with("-MM", "-march=native", str(source))
    assert sorted(files_of(source)) == sorted(read_by(done.stdout.split()[1:]))


def read_by(words: Sequence[str]) -> list[Path]:
    """Return the files of a rule for make."""
    return [Path(word).resolve() for word in words if word != "\\"]


def test_a_file_that_includes_itself_is_read_once(tmp_path: Path) -> None:
    source, header = tmp_path / "small.c", tmp_path / "below" / "small.h"
    header.parent.mkdir()
    source.write_text('#include "below/small.h"\n#include <stdint.h>\n')
    header.write_text('#pragma once\n#include "small.h"\n#include "../small.c"\n')
    assert files_of(source) == [source, header]
