"""T-01 to T-05: a virtual environment, two requirement files, other hardware's wheels replaced."""

import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from contract.asking import serves
from processes import ROOT, free_port, running

README = ROOT / "README.md"
RUNNING = ROOT / "docs" / "running.md"
MOVING = ROOT / "docs" / "migrating.md"


def _requirements(name: str) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def _assert_installed(requirements: list[Requirement]) -> None:
    """Check that each is pinned and installed in that version, except for the model's libraries."""
    assert all(len(each.specifier) == 1 and "==" in str(each.specifier) for each in requirements)
    needed = [each for each in requirements if each.name not in {"torch", "transformers"}]
    wrong = {
        each.name: version(each.name) for each in needed if version(each.name) not in each.specifier
    }
    assert not wrong


@pytest.fixture(scope="module")
def activated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The line `source env/bin/activate` of an environment made as documented, with our packages.

    Nothing is downloaded: its pip finds the packages that we have installed, and refuses others.
    """
    env = tmp_path_factory.mktemp("installing") / "env"
    subprocess.run([sys.executable, "-m", "venv", env], check=True, timeout=100)
    (site,) = env.glob("lib/python3*/site-packages")
    ours = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (site / "ours.pth").write_text("\n".join(ours))
    for old in site.glob("setuptools*"):  # Python's own would hide ours, which torch needs
        shutil.rmtree(old)
    return f"source {env}/bin/activate"


def _typed(activated: str, command: str) -> subprocess.CompletedProcess[str]:
    line = f"{activated} && {command}"
    return subprocess.run(
        ["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )


INSTALL = "python3 -m pip install --disable-pip-version-check --no-index"


@pytest.mark.slow
@pytest.mark.parametrize("files", ["-r requirements.txt", "-r requirements_dev.txt"])
def test_t01_t04_t05_pip_takes_the_requirements_in_a_fresh_environment(
    activated: str, files: str
) -> None:
    done = _typed(activated, f"{INSTALL} {files}")
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = {each.name for each in _requirements(files.removeprefix("-r "))}
    assert done.stdout.count("Requirement already satisfied") >= len(wanted)


@pytest.mark.slow
def test_t01_what_is_not_installed_is_not_taken_for_it(activated: str, tmp_path: Path) -> None:
    (tmp_path / "others.txt").write_text("flask==0.1\n")
    assert _typed(activated, f"{INSTALL} -r {tmp_path}/others.txt").returncode != 0


@pytest.mark.slow
def test_t01_the_server_runs_in_a_virtual_environment_as_documented(
    activated: str, tmp_path: Path
) -> None:
    """The environment is made by `python3 -m venv`, activated by `source`, used by `python`."""
    assert "Inference API" in README.read_text()
    assert "python3 -m venv env && source env/bin/activate" in RUNNING.read_text()
    assert "/env/bin/python" in _typed(activated, "which python").stdout
    port = free_port()
    command = ("bash", "-c", f"{activated} && exec python inference-api/inference_api_server.py")
    with running(command, port, tmp_path / "log", env={"PORT": str(port)}) as server:
        assert server.named("/env/bin/python", "gunicorn")
        assert serves(port)


def test_t02_the_two_file_install_needs_no_old_pip() -> None:
    text = RUNNING.read_text()
    assert "requirements.txt" in text
    assert "requirements_dev.txt" in text
    lines = [line for page in (README, RUNNING, MOVING) for line in page.read_text().splitlines()]
    naming = [line for line in lines if "pip==20.0.2" in line]
    assert all(line.startswith("|") for line in naming), "named in the mapping table at most"


def test_t03_the_readme_says_what_replaces_the_hardware_wheels() -> None:
    rows = [line for line in MOVING.read_text().splitlines() if line.startswith("|")]
    (row, *_) = [line for line in rows if "pybuda" in line]
    assert "tvm" in " ".join(line for line in rows if "tvm" in line)
    assert "torch" in row


def test_t04_requirements_txt_pins_what_the_server_needs() -> None:
    requirements = _requirements("requirements.txt")
    assert {"flask", "gunicorn", "gevent", "torch"} <= {each.name for each in requirements}
    _assert_installed(requirements)


def test_t05_requirements_dev_txt_pins_the_developer_tools() -> None:
    requirements = _requirements("requirements_dev.txt")
    assert {"pytest", "ruff", "mypy"} <= {each.name for each in requirements}
    _assert_installed([each for each in requirements if not re.match("types-", each.name)])
