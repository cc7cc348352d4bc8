"""The Makefile, and the scripts that people and CI share."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from processes import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
PROGRAMS = re.findall(r"^\t@(.*\$\(PY\) \S+) \$\(ARGS\)$", MAKEFILE, re.MULTILINE)
SCRIPTS = ("scripts/install", "scripts/check", ".ci/run")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("make", "--no-print-directory", *arguments),
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_make_alone_helps_and_fits_a_screen() -> None:
    done = make()
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_help_tells_of_every_target() -> None:
    helped = make("help").stdout
    assert {"install", "serve", "test", "check", "run-app", "run-worker", "run-tests"} <= {*TARGETS}
    assert [each for each in TARGETS if f"\n  {each} " not in helped] == []


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_made(target: str) -> None:
    done = make("-n", target)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_start_as_the_makefile_starts_them(program: str) -> None:
    command = program.replace("$(PY)", shlex.quote(sys.executable)) + " --help"
    done = subprocess.run(
        ("sh", "-c", command), check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:")


@pytest.mark.parametrize(
    "script", [*SCRIPTS, "scripts/docs", "scripts/serve", "scripts/bench", "scripts/house"]
)
def test_what_is_run_by_name_can_be(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


@pytest.mark.parametrize("script", SCRIPTS)
def test_shell_scripts_parse(script: str) -> None:
    done = subprocess.run(
        ("bash", "-n", script), check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="there is no shellcheck here")
def test_shell_scripts_satisfy_shellcheck() -> None:
    done = subprocess.run(
        ("shellcheck", *SCRIPTS), check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
