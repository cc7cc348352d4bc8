"""Where the checks look for packages, and when Triton interprets.

Covers `gpu_check/wheels`.
"""

import os
import zipfile
from pathlib import Path

import pytest

from commands.gpu_check.cli import INTERPRETED, variables
from commands.gpu_check.wheels import FOLDER, PACKAGES, unpacked
from processes import ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with the wheel of a package that is installed, and of one that is not."""
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    for name in ("json", "nowhere_else"):
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "FOUND = True\n")
    return tmp_path


def test_a_package_that_is_missing_comes_from_its_wheel(root: Path) -> None:
    for _ in range(2):  # the second time it is there
        (place,) = unpacked(root / FOLDER)
        assert (place / "nowhere_else" / "__init__.py").read_text() == "FOUND = True\n"


def test_packages_follow_the_source(root: Path) -> None:
    found = variables([], {"PYTHONPATH": "mine", "HOME": "/"}, root)
    first, wheel, mine = found["PYTHONPATH"].split(os.pathsep)
    assert first == str(root / "inference-api")
    assert wheel.endswith("nowhere_else-1.0-py3-none-any")
    assert (mine, found["HOME"]) == ("mine", "/")


@pytest.mark.parametrize(
    ("arguments", "interprets"),
    [
        ([], False),
        (["--tiny", "--device", "cpu"], True),
        (["--device=cpu"], True),
        (["--device", "cuda", "--only", "cpu"], False),
    ],
)
def test_triton_interprets_for_a_cpu_alone(
    arguments: list[str], interprets: bool, root: Path
) -> None:
    found = variables(arguments, {}, root)
    assert ("TRITON_INTERPRET" in found) is interprets
    assert not interprets or INTERPRETED.items() <= found.items()


def test_what_is_packed_is_pinned() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in lines if "==" in line}.issuperset(PACKAGES)
