"""T-01 to T-05: a virtual environment, two requirement files, other hardware's wheels replaced."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement

from processes import ROOT

README = ROOT / "README.md"
RUNNING = ROOT / "docs" / "running.md"
MOVING = ROOT / "docs" / "migrating.md"


def _requirements(name: str) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def _assert_installed(requirements: list[Requirement]) -> None:
    """Pinned, and installed in that version; the mock does without the model's libraries."""
    assert all(len(each.specifier) == 1 and "==" in str(each.specifier) for each in requirements)
    needed = [each for each in requirements if each.name not in {"torch", "transformers"}]
    wrong = {
        each.name: version(each.name) for each in needed if version(each.name) not in each.specifier
    }
    assert not wrong


def test_t01_a_virtual_environment_is_made_as_documented(tmp_path: Path) -> None:
    assert "Inference API" in README.read_text()
    assert "python3 -m venv" in RUNNING.read_text()
    command = f"{sys.executable} -m venv --without-pip env && source env/bin/activate && python -V"
    ran = subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, timeout=60)
    assert ran.returncode == 0


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
