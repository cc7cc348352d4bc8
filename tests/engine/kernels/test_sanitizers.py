"""Kernels under the compiler's sanitizers: ragged shapes, all that this machine has."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rowcast.engine.kernels.build import COMPILERS, FLAGS
from rowcast.engine.kernels.linear_kernel import SOURCE

PRINTED = {  # by program: words of its output, for roads that were taken
    "sanitized_linear.c": {"vectors", "emulated"},
    "sanitized_attention.c": {"done"},
    "sanitized_sampling.c": {"done"},
}
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g")
NOT_OURS = ("-shared", "-O3")
SECONDS = 300


@pytest.mark.slow
@pytest.mark.parametrize("name", PRINTED)
def test_no_byte_beyond_a_buffer_is_touched(tmp_path: Path, name: str) -> None:
    program = built(tmp_path, Path(__file__).with_name(name))
    # What leaks is not of interest, and looking for it needs rights that containers lack.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(
        [program], check=False, capture_output=True, text=True, timeout=SECONDS, env=environment
    )
    assert not done.returncode, done.stderr[:5000]
    assert PRINTED[name] <= set(done.stdout.split())


def built(folder: Path, main: Path) -> Path:
    """Compile the program, or skip if this machine has no sanitizers."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        pytest.skip("no C compiler")
    program, empty = folder / "program", folder / "empty.c"
    flags = [flag for flag in FLAGS if flag not in NOT_OURS]
    command = [compiler, *flags, *SANITIZERS, "-march=native", f"-I{SOURCE.parent}"]
    empty.write_text("int main(void) { return 0; }\n")
    if run(*command, "-o", str(program), str(empty)).returncode:
        pytest.skip("the compiler's sanitizers are not installed")
    if run(str(program)).returncode:
        pytest.skip("programs with sanitizers do not run here")
    done = run(*command, "-o", str(program), str(main), "-lm")
    assert not done.returncode, done.stderr[:5000]
    return program


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
