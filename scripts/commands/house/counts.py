"""Files, lines and functions of some folders: one row of the table.

A function's length is from its first line to its last. It is typed if all its parameters, except
`self` and `cls`, and its result are. It is private if its name begins with one underscore; it has
exactly one caller if its module mentions that name once.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from commands.house.source import Function, Module, Source

LONG = 40  # lines
HEAD = (
    "| | files | lines | fn | >40 % | typed % | broad excepts | fan | private % |",
    "|---|---|---|---|---|---|---|---|---|",
)
LEGEND = (
    "fn: function length, median/p90/max; fan: most modules in one folder, __init__ included;\n"
    "private: share of functions, in brackets the share of those with exactly one caller"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The figures of some folders; shares from 0 to 1."""

    files: int
    lines: int
    median: float
    p90: int
    longest: int
    long: float
    typed: float
    broad_excepts: int
    fan: int
    fan_folder: str
    private: float
    called_once: float

    def row(self, name: str) -> str:
        """Return a line of the table."""
        cells = (
            name,
            f"{self.files}",
            f"{self.lines / 1000:.1f}k",
            f"{self.median:g}/{self.p90}/{self.longest}",
            f"{self.long:.1%}".removesuffix("%"),
            f"{self.typed:.1%}".removesuffix("%"),
            f"{self.broad_excepts}",
            f"{self.fan} ({self.fan_folder})",
            f"{self.private:.0%} ({self.called_once:.0%})".replace("%", ""),
        )
        return f"| {' | '.join(cells)} |"


def count(source: Source) -> Counts:
    """Count everything."""
    functions = list(source.functions())
    lengths = sorted(each.lines for each in functions)
    private = [each for each in functions if _is_private(each)]
    mentions = {module: Counter(_names(module)) for module in source.modules.values()}
    once = [each for each in private if mentions[each.module][each.node.name] == 1]
    folder, fan = max(modules_per_folder(source).items(), key=lambda item: item[1])
    return Counts(
        files=len(source.modules),
        lines=sum(len(each.text.splitlines()) for each in source.modules.values()),
        median=median(lengths) if lengths else 0,
        p90=lengths[int(len(lengths) * 0.9)] if lengths else 0,
        longest=lengths[-1] if lengths else 0,
        long=_share(sum(length > LONG for length in lengths), len(lengths)),
        typed=_share(sum(map(_is_typed, functions)), len(functions)),
        broad_excepts=sum(_broad_excepts(each) for each in source.modules.values()),
        fan=fan,
        fan_folder=folder.name,
        private=_share(len(private), len(functions)),
        called_once=_share(len(once), len(private)),
    )


def modules_per_folder(source: Source) -> Counter[Path]:
    """Count the modules of each folder, packages' own included."""
    return Counter(each.path.parent for each in source.modules.values())


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _is_private(function: Function) -> bool:
    name = function.node.name
    return name.startswith("_") and not name.startswith("__")


def _is_typed(function: Function) -> bool:
    given = function.node.args
    named = [*given.posonlyargs, *given.args]
    if function.owner is not None and named and named[0].arg in {"self", "cls"}:
        named = named[1:]
    every = [*named, *given.kwonlyargs, given.vararg, given.kwarg]
    untyped = any(each is not None and each.annotation is None for each in every)
    return not untyped and function.node.returns is not None


def _broad_excepts(module: Module) -> int:
    handlers = (node for node in ast.walk(module.tree) if isinstance(node, ast.ExceptHandler))
    return sum(any(map(_is_broad, _caught(handler))) for handler in handlers)


def _caught(handler: ast.ExceptHandler) -> Sequence[ast.expr | None]:
    return handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]


def _is_broad(caught: ast.expr | None) -> bool:
    return caught is None or (
        isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"}
    )


def _names(module: Module) -> Iterator[str]:
    """Yield every name and attribute that a module mentions."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
