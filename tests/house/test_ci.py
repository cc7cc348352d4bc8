"""`.ci/run` in a repository of a few tests: when a run passes though tests failed, and how it ends.

Needs no network and installs nothing: `make install-dev` of this repository does nothing.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from processes import ROOT

pytestmark = pytest.mark.slow

MAKEFILE = """
install-dev:
check:
\t@{check}
test: install-dev
\t@.venv/bin/python -m pytest -n {processes} $(ARGS)
"""
OPTIONS = "[pytest]\naddopts = -q\n"
FIRST = """
import os, pathlib, pytest
def first(name):
    "True if no test has called this with this name."
    try:
        pathlib.Path("seen-" + name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
"""
GOOD = "def test_good(): pass\n"
FLAKY = "def test_flaky_{0}(): assert not first('{0}'), 'the reason of {0}'\n"
BROKEN = "def test_broken(): assert 2 == 1 + 2\n"
CRASHES = "def test_crashes():\n    if first('crash'): os.kill(os.getpid(), 9)\n"
SKIPPED = "def test_skipped():\n    if not first('skip'): pytest.skip()\n    assert 0\n"
TEARDOWN = """
@pytest.fixture
def left():
    yield
    assert not first('teardown'), 'left behind'
def test_leaves(left): pass
"""
NAMED = "@pytest.mark.parametrize('n', ['$x \\'y\" [z] ::'])\n" + FLAKY.format("n").replace(
    "()", "(n)"
)
INTERNAL = "def pytest_runtest_logfinish(nodeid):\n    if 'good' in nodeid: raise RuntimeError\n"


@dataclass
class Run:
    """A run that has ended."""

    status: int
    output: str

    @property
    def unstable(self) -> list[str]:
        mark = "!!! UNSTABLE: tests/"
        return [e.removeprefix(mark) for e in self.output.splitlines() if e.startswith(mark)]


def ci(
    folder: Path,
    *tests: str,
    check: str = "true",
    processes: int = 0,
    options: str = "",
    files: Mapping[str, str] | None = None,
) -> Run:
    """Run `.ci/run` in a repository of these tests."""
    (folder / "tests").mkdir()
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "Makefile").write_text(MAKEFILE.format(check=check, processes=processes))
    (folder / "pytest.ini").write_text(OPTIONS)
    (folder / "tests/test_it.py").write_text(FIRST + "".join(tests))
    for name, text in (files or {}).items():
        (folder / "tests" / f"{name}.py").write_text(text)
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    plugins = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
    done = subprocess.run(
        (folder / ".ci/run",),
        check=False,
        env=env | plugins | {"PYTEST_ADDOPTS": options, "PYTHON": "true"},  # has all that is needed
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    return Run(done.returncode, done.stdout)


def test_a_run_whose_tests_pass_says_nothing_of_unstable_ones(tmp_path: Path) -> None:
    run = ci(tmp_path, GOOD)
    assert run.status == 0
    assert "UNSTABLE" not in run.output


def test_a_few_that_pass_alone_are_unstable_and_shown_last(tmp_path: Path) -> None:
    run = ci(tmp_path, GOOD, FLAKY.format("a"), CRASHES, TEARDOWN, processes=1)
    assert run.status == 0
    names = ["test_crashes", "test_flaky_a", "test_leaves"]
    assert sorted(run.unstable) == [f"test_it.py::{each}" for each in names]
    last = run.output.rpartition("the first failures of tests that passed alone")[2]
    assert "the reason of a" in last
    assert "left behind" in last
    assert "crashed while running" in last
    assert last.index("the reason of a") < last.index("!!! UNSTABLE")


def test_any_name_of_a_test_is_found_again(tmp_path: Path) -> None:
    run = ci(tmp_path, NAMED)
    assert run.status == 0
    assert len(run.unstable) == 1


def test_more_output_changes_nothing(tmp_path: Path) -> None:
    run = ci(tmp_path, GOOD, FLAKY.format("a"), options="-vv --tb=short")
    assert (run.status, run.unstable) == (0, ["test_it.py::test_flaky_a"])


def test_what_a_former_run_left_is_not_counted(tmp_path: Path) -> None:
    left = tmp_path / ".pytest_cache/v/cache/lastfailed"
    left.parent.mkdir(parents=True)
    left.write_text('{"tests/test_gone.py::test_gone": true}')
    run = ci(tmp_path, FLAKY.format("a"))
    assert (run.status, run.unstable) == (0, ["test_it.py::test_flaky_a"])


@pytest.mark.parametrize(
    "tests",
    [
        pytest.param([BROKEN, FLAKY.format("a")], id="fails again"),
        pytest.param([GOOD, SKIPPED], id="is skipped the second time"),
    ],
)
def test_one_that_does_not_pass_alone_fails_the_run(tmp_path: Path, tests: list[str]) -> None:
    run = ci(tmp_path, *tests)
    assert run.status == 1
    assert "once more, alone" in run.output
    assert run.unstable == []


def test_more_than_three_fail_the_run_at_once(tmp_path: Path) -> None:
    run = ci(tmp_path, *map(FLAKY.format, "abcd"))
    assert run.status == 1
    assert "once more" not in run.output


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"test_bad": "import no_such_module"}, id="cannot be collected"),
        pytest.param({"conftest": INTERNAL}, id="pytest fails"),
    ],
)
def test_a_run_that_pytest_did_not_finish_has_failed(tmp_path: Path, files: dict[str, str]) -> None:
    run = ci(tmp_path, FLAKY.format("a"), GOOD, files=files)
    assert run.status == 1
    assert "once more" not in run.output


def test_a_check_that_fails_is_not_forgiven(tmp_path: Path) -> None:
    run = ci(tmp_path, FLAKY.format("a"), check="false")
    assert run.status == 1
    assert run.unstable == ["test_it.py::test_flaky_a"]
    assert "FAILED: make check" in run.output
