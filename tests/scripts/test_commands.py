"""The layout of `scripts/`: a package for each command, called like it; folders of few modules."""

from pathlib import Path

import pytest

from commands.house.circles import circles
from commands.house.source import read
from processes import ROOT

SCRIPTS = ROOT / "scripts"
PACKAGES = sorted(path.parent for path in SCRIPTS.glob("commands/*/__init__.py"))
MOST = 14  # modules in a folder


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_is_called_like_its_command(package: Path) -> None:
    program = SCRIPTS / package.name
    assert f"from commands.{package.name}.cli import main\n" in program.read_text()


def test_no_folder_has_too_many_modules() -> None:
    folders = {path.parent for path in SCRIPTS.rglob("*.py")}
    sizes = {folder.name: len([*folder.glob("*.py")]) for folder in folders}
    assert {name: size for name, size in sizes.items() if size > MOST} == {}


def test_the_commands_import_each_other_in_no_circle() -> None:
    assert circles(read(ROOT, ("scripts",))) == []
