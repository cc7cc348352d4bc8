"""The way of a call: the functions that a function calls, in the order in which they are reached.

Each function is entered once, where it is first called; its own calls follow before the caller's
next one. A stay is a run of functions in one module; a return is a stay in a module that was left
before. Not followed: what is raised, fields that hold functions, and what annotations do not say.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from commands.house.source import Function, Module, Source
from commands.house.types import Class, Resolver, Type, assignments, parameters

PARTIAL = {"partial", "functools.partial"}  # its first argument is called later


@dataclass(frozen=True, slots=True)
class Stay:
    """Functions of one module, entered one after another."""

    module: str
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """All stays of one walk."""

    stays: tuple[Stay, ...]

    @property
    def modules(self) -> int:
        return len({stay.module for stay in self.stays})

    @property
    def returns(self) -> Counter[str]:
        """How often the walk returns to each module."""
        visits = Counter(stay.module for stay in self.stays)
        return Counter({module: count - 1 for module, count in visits.items() if count > 1})


def walk(source: Source, start: Function, depth: int | None = None) -> Walk:
    """Follow a function through its calls, at most `depth` calls deep."""
    walker = _Walker(Resolver(source), sys.maxsize if depth is None else depth)
    walker.enter(start)
    groups = groupby(walker.entered, key=lambda function: function.module.name)
    return Walk(
        tuple(Stay(module, tuple(each.qualified for each in run)) for module, run in groups)
    )


def find(source: Source, name: str) -> Function:
    """Return a function by `module:name`; the end of the module's name suffices.

    Raises LookupError if there is not exactly one.
    """
    module, _, qualified = name.rpartition(":")
    found = [
        each
        for each in source.functions()
        if each.qualified == qualified and _is_named(each.module, module)
    ]
    if len(found) != 1:
        names = ", ".join(f"{each.module.name}:{each.qualified}" for each in found) or "none"
        raise LookupError(f"{name!r} must name one function; found: {names}")
    return found[0]


def _is_named(module: Module, end: str) -> bool:
    return not end or f".{module.name}".endswith(f".{end}")


@dataclass(slots=True)
class _Walker:
    resolver: Resolver
    depth: int
    entered: list[Function] = field(default_factory=list)
    _seen: set[tuple[Module, str]] = field(default_factory=set)

    def enter(self, function: Function) -> None:
        """Enter a function that is new, and everything that it calls."""
        key = (function.module, function.qualified)
        if key not in self._seen:
            self._seen.add(key)
            self.entered.append(function)
            body = _Body(self, function.module, parameters(function))
            self.depth -= 1
            for statement in function.node.body if self.depth >= 0 else ():
                body.visit(statement)
            self.depth += 1

    def call(self, called: Class | Function | None) -> None:
        """Enter what is called; of a class, the code that makes an instance."""
        if isinstance(called, Function):
            self.enter(called)
        elif called is not None:
            for name in ("__init__", "__post_init__"):
                if (made := self.resolver.method(called, name)) is not None:
                    self.enter(made)


class _Body(ast.NodeVisitor):
    """Visits the expressions of a function in the order in which they are evaluated."""

    def __init__(self, walker: _Walker, module: Module, env: dict[str, Type]) -> None:
        self._walker, self._module, self._env = walker, module, env

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if ast.unparse(node.func) in PARTIAL and node.args:
            self._walker.call(self._called(node.args[0]))
        self._walker.call(self._called(node.func))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        found = self._walker.resolver.property_read(self._module, self._env, node)
        self._walker.call(found)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Skip it: the walk is that of a call that succeeds."""

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target, value in assignments(node):
            self._bind(target, self._infer(value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
        self._bind(node.target, Type(self._module, node.annotation))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self._bind(node.target, self._infer(node.value))

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self._bind(node.target, self._walker.resolver.item_of(self._infer(node.iter)))
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit(node.iter)
        self._bind(node.target, self._walker.resolver.item_of(self._infer(node.iter)))
        for condition in node.ifs:
            self.visit(condition)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehend(node.generators, node.elt)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehend(node.generators, node.elt)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehend(node.generators, node.elt)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehend(node.generators, node.key, node.value)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars is not None:
                self._bind(item.optional_vars, self._entered(item.context_expr))
        for statement in node.body:
            self.visit(statement)

    def _comprehend(self, generators: list[ast.comprehension], *elements: ast.expr) -> None:
        for generator in generators:
            self.visit(generator)
        for element in elements:
            self.visit(element)

    def _entered(self, manager: ast.expr) -> Type | None:
        """Return the type of a `with` block's variable."""
        kind = self._infer(manager)
        resolver = self._walker.resolver
        owner = resolver.class_of(kind)
        enter = resolver.method(owner, "__enter__") if owner else None
        return resolver.result(enter) if enter else resolver.item_of(kind) or kind

    def _called(self, func: ast.expr) -> Class | Function | None:
        return self._walker.resolver.callee(self._module, self._env, func)

    def _infer(self, value: ast.expr) -> Type | None:
        return self._walker.resolver.infer(self._module, self._env, value)

    def _bind(self, target: ast.expr, kind: Type | None) -> None:
        for name in _names(target):
            self._env.pop(name, None)
        if isinstance(target, ast.Name) and kind is not None:
            self._env[target.id] = kind


def _names(target: ast.expr) -> Iterator[str]:
    return (
        node.id
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
