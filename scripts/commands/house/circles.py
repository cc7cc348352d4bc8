"""Modules that import each other in a circle. Only what is written counts, not parent packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from commands.house.source import Module, Source, imported


def circles(source: Source) -> list[list[str]]:
    """Return each group of modules that reach each other by imports."""
    edges = {name: {*_imports(source, module)} for name, module in source.modules.items()}
    search = _Search(edges)
    for name in edges:
        search.visit(name)
    return [sorted(group) for group in search.groups if len(group) > 1]


def _imports(source: Source, module: Module) -> Iterator[str]:
    for origin, name in imported(module):
        target = f"{origin}.{name}" if f"{origin}.{name}" in source.modules else origin
        if target in source.modules and target != module.name:
            yield target


@dataclass(slots=True)
class _Search:
    """Tarjan's search for strongly connected components."""

    edges: Mapping[str, set[str]]
    groups: list[list[str]] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _lowest: dict[str, int] = field(default_factory=dict)
    _stack: list[str] = field(default_factory=list)

    def visit(self, name: str) -> None:
        if name in self._numbers:
            return
        self._numbers[name] = self._lowest[name] = len(self._numbers)
        self._stack.append(name)
        for target in sorted(self.edges[name]):
            self.visit(target)
            if target in self._stack:
                self._lowest[name] = min(self._lowest[name], self._lowest[target])
        if self._lowest[name] == self._numbers[name]:
            at = self._stack.index(name)
            self.groups.append(self._stack[at:])
            del self._stack[at:]
