"""The modules of some folders as syntax trees: their functions, classes and imports.

In: source roots, such as `inference-api`. Out: a `Source`. A module's name is relative to its root.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Definition = FunctionNode | ast.ClassDef


@dataclass(frozen=True)
class Module:
    """One file."""

    name: str
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def definitions(self) -> Mapping[str, Definition]:
        """Its top-level functions and classes, by name."""
        return {node.name: node for node in self.tree.body if isinstance(node, Definition)}

    @cached_property
    def imports(self) -> Mapping[str, str]:
        """What each imported name stands for, anywhere in the module."""
        return dict(_bindings(self))

    @property
    def base(self) -> str:
        """The last part of its name."""
        return self.name.rpartition(".")[2]

    def __hash__(self) -> int:
        return hash(self.path)


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method, nested ones too; `owner` is the class that it is defined in."""

    module: Module
    qualified: str
    node: FunctionNode
    owner: ast.ClassDef | None

    @property
    def lines(self) -> int:
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1


@dataclass(frozen=True)
class Source:
    """All modules, by name."""

    modules: Mapping[str, Module]

    def functions(self) -> Iterator[Function]:
        """Yield all functions, in the order of the files."""
        for module in self.modules.values():
            for name, node, owner in defined(module.tree):
                if isinstance(node, FunctionNode):
                    yield Function(module, name, node, owner)


def read(top: Path, folders: tuple[str, ...]) -> Source:
    """Read the modules of these folders of a checkout."""
    found = {}
    for folder in folders:
        for path in sorted((top / folder).rglob("*.py")):
            parts = path.relative_to(top / folder).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, path, path.read_text(encoding="utf-8"))
    return Source(found)


def defined(
    tree: ast.AST, prefix: str = "", owner: ast.ClassDef | None = None
) -> Iterator[tuple[str, Definition, ast.ClassDef | None]]:
    """Yield functions and classes at any depth, with qualified names and their classes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            name = f"{prefix}{node.name}"
            yield name, node, owner
            yield from defined(node, f"{name}.", node if isinstance(node, ast.ClassDef) else None)
        else:
            yield from defined(node, prefix, owner)


def imported(module: Module) -> Iterator[tuple[str, str]]:
    """Yield module and name of everything imported; the name is "" for `import module`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((_origin(module, node), alias.name) for alias in node.names)


def _bindings(module: Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{_origin(module, node)}.{alias.name}"


def _origin(module: Module, node: ast.ImportFrom) -> str:
    """Return the absolute name of the module that is imported from."""
    package = module.name.split(".")
    if module.path.stem == "__init__":
        package.append("")  # a package's own level
    base = package[: -node.level] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])
