"""Threads that are stopped, or that share the caller's processor: each item is processed once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rowcast.engine.kernels.build import COMPILERS, FLAGS
from rowcast.engine.kernels.linear_kernel import SOURCE

SECONDS = 120
COMPILER = next(filter(None, map(shutil.which, COMPILERS)), None)


@pytest.mark.slow
@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
@pytest.mark.skipif(sys.platform != "linux", reason="threads do not know their processors")
def test_a_thread_that_is_stopped_or_in_the_way_harms_no_job(tmp_path: Path) -> None:
    assert COMPILER is not None
    program, main = tmp_path / "program", Path(__file__).with_name("stopped_threads.c")
    flags = [flag for flag in FLAGS if flag != "-shared"]
    command = [COMPILER, *flags, f"-I{SOURCE.parent}", "-o", str(program), str(main)]
    subprocess.run(command, check=True, timeout=SECONDS)
    done = subprocess.run([program], check=False, capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
