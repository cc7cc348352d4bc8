"""The layout of `scripts/`: a package for each command, called like it."""

from pathlib import Path

import pytest

from processes import ROOT

SCRIPTS = ROOT / "scripts"
PACKAGES = sorted(path.parent for path in SCRIPTS.glob("commands/*/__init__.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_is_called_like_its_command(package: Path) -> None:
    program = SCRIPTS / package.name
    assert f"from commands.{package.name}.cli import main\n" in program.read_text()
