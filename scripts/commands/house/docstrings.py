"""Docstrings drawn by lot, next to the texts that they replaced in another checkout.

A counterpart has the same qualified name in the module of the same name; if that module has moved,
in the only module with the same last name; otherwise in the only module that has such a name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from textwrap import indent

from commands.house.source import Module, Source, defined


@dataclass(frozen=True, slots=True)
class Docstring:
    """The docstring of a module, a class or a function; a module's own name is ""."""

    module: Module
    name: str
    text: str

    def address(self, top: Path) -> str:
        """Return file:name."""
        return f"{self.module.path.relative_to(top)}:{self.name or '(module)'}"


def docstrings(source: Source) -> list[Docstring]:
    """Return all docstrings, in the order of the files."""
    return [each for module in source.modules.values() for each in _of_module(module)]


def drawn(source: Source, count: int, seed: int) -> list[Docstring]:
    """Draw some by lot: the same seed draws the same of the same tree."""
    every = docstrings(source)
    dice = Random(seed)  # noqa: S311 - repeatable, not secret
    return dice.sample(every, min(count, len(every)))


def counterpart(one: Docstring, others: Sequence[Docstring]) -> Docstring | None:
    """Return the docstring of the same thing in another checkout."""
    same_name = [each for each in others if each.name == one.name]
    same_module = [each for each in same_name if each.module.name == one.module.name]
    moved = [each for each in same_name if each.module.base == one.module.base]
    for found in (same_module, moved, same_name if one.name else []):
        if len(found) == 1:
            return found[0]
    return None


def shown(one: Docstring, top: Path, old: Docstring | None, old_top: Path | None) -> str:
    """Return a docstring as text, with its counterpart if another checkout is given."""
    lines = [one.address(top), indent(one.text, "    ")]
    if old_top is not None:
        if old is None:
            lines.append("  before: no counterpart")
        elif old.text == one.text:
            lines.append("  before: the same")
        else:
            lines += [f"  before, {old.address(old_top)}", indent(old.text, "    ")]
    return "\n".join(lines)


def _of_module(module: Module) -> Iterator[Docstring]:
    if text := ast.get_docstring(module.tree):
        yield Docstring(module, "", text)
    for name, node, _ in defined(module.tree):
        if text := ast.get_docstring(node):
            yield Docstring(module, name, text)
