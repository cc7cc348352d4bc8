"""Names in the source use none of the words that docs/glossary.md rules out.

A name is that of a module, a class, a function, a parameter, a variable or an attribute.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import ROOT

ROWCAST = ROOT / "inference-api" / "rowcast"
PLACES = (*ROWCAST.iterdir(), *(ROOT / name for name in ("proxy", "scripts", "models")))
FILES = (*ROOT.glob("*.py"), *(ROOT / "inference-api").glob("*.py"))
CORPUS = ROOT / "models" / "corpus"  # its stories are about people who ask, tell and say

TABLE = (ROOT / "docs" / "glossary.md").read_text().partition("## Words that names do not use")[2]
RULED_OUT = {
    word
    for words in re.findall(r"^\| [^|]+ \| ([a-z, ]+) \|$", TABLE, re.MULTILINE)
    for word in words.split(", ")
} - {"not"}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def names(source: str) -> Iterator[str]:
    """Yield the names that a module defines."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.alias(asname=str(name)):
                yield name


def is_ruled_out(name: str) -> bool:
    return any(word.lower() in RULED_OUT for word in _WORDS.findall(name))


def offenders(place: Path) -> list[str]:
    """Return the names in a module, or below a folder, that use a word that is ruled out."""
    modules = [place] if place.suffix == ".py" else sorted(place.rglob("*.py"))
    return [
        f"{name} in {module.relative_to(ROOT)}"
        for module in modules
        if not module.is_relative_to(CORPUS)
        for name in sorted({module.stem, *names(module.read_text())})
        if is_ruled_out(name)
    ]


@pytest.mark.parametrize("place", [*PLACES, *FILES], ids=lambda place: place.name)
def test_no_name_uses_a_word_that_is_ruled_out(place: Path) -> None:
    assert offenders(place) == []


@pytest.mark.parametrize(
    "name", ["asked", "_told_teams", "HeardOf", "NativeChooser", "KEPT_SECONDS", "lean", "is_kept"]
)
def test_a_word_is_found_inside_a_name(name: str) -> None:
    assert is_ruled_out(name)


@pytest.mark.parametrize("name", ["task", "mask", "essays", "always", "leaning", "SubwayMap"])
def test_a_part_of_a_word_is_not_a_word(name: str) -> None:
    assert not is_ruled_out(name)


def test_the_source_of_every_kind_of_name_is_read() -> None:
    source = "import os as a\nclass B:\n    c = 1\n    def d(self, e): self.f = e\n"
    assert {*names(source)} == {*"aBcdef", "self"}
