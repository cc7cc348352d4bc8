"""docs/decisions/README.md lists every decision, under its own title."""

import re
from pathlib import Path

import pytest

from processes import ROOT

FOLDER = ROOT / "docs" / "decisions"
INDEX = (FOLDER / "README.md").read_text()
PAGES = sorted(FOLDER.glob("[0-9]*.md"))
LISTED = dict(re.findall(r"^\| \[(\d+)\]\(\S+\) \| (.*) \|$", INDEX, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_decision_is_listed_with_its_title(page: Path) -> None:
    found = re.match(r"# (\d+)\. (.*)\n", page.read_text())
    assert found, "a decision begins with its number and its title"
    number, title = found.groups()
    assert page.name.startswith(f"{int(number):04d}-")
    assert LISTED.get(number) == title
    assert f"[{number}]({page.name})" in INDEX


def test_nothing_else_is_listed() -> None:
    assert {int(number) for number in LISTED} == {int(page.name[:4]) for page in PAGES}
