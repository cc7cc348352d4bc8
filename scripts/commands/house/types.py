"""What an expression is, as far as imports and annotations say: a class or a function.

A type is an annotation and the module that it is written in. `X | None` counts as X, and an item of
an iterable is the first argument of its annotation. What cannot be told is None, never a guess.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from commands.house.expressions import alternatives, dotted, is_property, possible_values
from commands.house.source import Definition, Function, FunctionNode, Module, Source

ITERABLES = {
    *("AsyncIterator", "Collection", "ContextManager", "Generator", "Iterable", "Iterator"),
    *("Sequence", "deque", "frozenset", "list", "set", "tuple", "AbstractContextManager"),
}
MAPPINGS = {"Mapping", "MutableMapping", "dict", "defaultdict", "OrderedDict"}
DEPTH = 8  # of re-exports and inference


@dataclass(frozen=True, slots=True)
class Type:
    """An annotation, in the module that it is written in."""

    module: Module
    annotation: ast.expr


@dataclass(frozen=True)
class Class:
    """A class of the source."""

    module: Module
    node: ast.ClassDef

    @cached_property
    def functions(self) -> Mapping[str, Function]:
        """Its own methods and properties."""
        return {
            each.name: Function(self.module, f"{self.node.name}.{each.name}", each, self.node)
            for each in self.node.body
            if isinstance(each, FunctionNode)
        }

    @property
    def type(self) -> Type:
        """The type of its instances."""
        return Type(self.module, ast.Name(self.node.name))

    def __hash__(self) -> int:
        return hash((self.module, self.node.name))


Env = Mapping[str, Type]


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolves names and expressions within one source."""

    source: Source

    def named(self, module: Module, name: str, depth: int = DEPTH) -> Class | Function | None:
        """Return what a dotted name of a module stands for."""
        head, _, rest = name.partition(".")
        if head in module.definitions:
            return self._inside(_entity(module, module.definitions[head]), rest)
        if head in module.imports and depth:
            target = module.imports[head] + (f".{rest}" if rest else "")
            return self._absolute(target, depth - 1)
        return None

    def class_of(self, kind: Type | None, depth: int = DEPTH) -> Class | None:
        """Return the class of a type, if it is one of the source's."""
        if kind is None or not depth:
            return None
        for one in alternatives(kind.annotation):
            found = self.named(kind.module, dotted(one))
            if isinstance(found, Class):
                return found
        return None

    def item_of(self, kind: Type | None) -> Type | None:
        """Return the type of an iterable's items, or of a mapping's values."""
        for one in alternatives(kind.annotation) if kind else ():
            if isinstance(one, ast.Subscript) and kind:
                inner = one.slice.elts if isinstance(one.slice, ast.Tuple) else [one.slice]
                name = dotted(one).rpartition(".")[2]
                if name in ITERABLES | MAPPINGS:
                    return Type(kind.module, inner[-1 if name in MAPPINGS else 0])
        return None

    def infer(self, module: Module, env: Env, node: ast.expr, depth: int = DEPTH) -> Type | None:
        """Return the type of an expression."""
        inner = depth - 1
        match node if depth else None:
            case ast.Name(name):
                return env.get(name)
            case ast.Attribute(value, name):
                owner = self.class_of(self.infer(module, env, value, inner))
                return self._attribute(owner, name, inner)
            case ast.Call(func):
                return self.result(self.callee(module, env, func, inner))
            case ast.Subscript(value):
                return self.item_of(self.infer(module, env, value, inner))
        values = possible_values(node) if depth else ()
        types = (self.infer(module, env, each, inner) for each in values)
        return next((each for each in types if each is not None), None)

    def callee(
        self, module: Module, env: Env, func: ast.expr, depth: int = DEPTH
    ) -> Class | Function | None:
        """Return what is called: a class, a function, or a method of an inferred class."""
        match func:
            case ast.Name(name) if name not in env:
                return self.named(module, name)
            case ast.Attribute(value, name):
                owner = self.class_of(self.infer(module, env, value, depth))
                if owner is not None:
                    return self.method(owner, name)
                return self.named(module, name) if (name := dotted(func)) else None
        return None

    def result(self, called: Class | Function | None) -> Type | None:
        """Return the type of a call."""
        match called:
            case Class():
                return called.type
            case Function(module, _, node, owner) if node.returns is not None:
                if owner is not None and dotted(node.returns) == "Self":
                    return Type(module, ast.Name(owner.name))
                return Type(module, node.returns)
        return None

    def method(self, owner: Class, name: str) -> Function | None:
        """Return a method or property of a class or of its bases."""
        for one in self._family(owner):
            if name in one.functions:
                return one.functions[name]
        return None

    def property_read(self, module: Module, env: Env, node: ast.Attribute) -> Function | None:
        """Return the property that an attribute reads, if it is one."""
        owner = self.class_of(self.infer(module, env, node.value))
        found = self.method(owner, node.attr) if owner else None
        return found if found and is_property(found.node) else None

    def _attribute(self, owner: Class | None, name: str, depth: int) -> Type | None:
        for one in self._family(owner) if owner else ():
            if name in one.functions:
                function = one.functions[name]
                return self.result(function) if is_property(function.node) else None
            if (found := self._field(one, name, depth)) is not None:
                return found
        return None

    def _field(self, owner: Class, name: str, depth: int) -> Type | None:
        """Return the type of a field: annotated in the class, or assigned in `__init__`."""
        for field in owner.node.body:
            if isinstance(field, ast.AnnAssign) and dotted(field.target) == name:
                return Type(owner.module, field.annotation)
        init = owner.functions.get("__init__")
        for node in ast.walk(init.node) if init else ():
            if isinstance(node, ast.AnnAssign) and dotted(node.target) == f"self.{name}":
                return Type(owner.module, node.annotation)
            if init and isinstance(node, ast.Assign):
                for target, value in _assigned(node):
                    if dotted(target) == f"self.{name}":
                        return self.infer(owner.module, parameters(init), value, depth)
        return None

    def _family(self, owner: Class) -> Iterator[Class]:
        yield owner
        for base in owner.node.bases:
            found = self.class_of(Type(owner.module, base))
            if found is not None and found != owner:
                yield from self._family(found)

    def _absolute(self, name: str, depth: int) -> Class | Function | None:
        """Return what an absolute name stands for, by the longest module name in it."""
        parts = name.split(".")
        for size in range(len(parts) - 1, 0, -1):
            module = self.source.modules.get(".".join(parts[:size]))
            if module is not None:
                return self.named(module, ".".join(parts[size:]), depth)
        return None

    def _inside(self, found: Class | Function, rest: str) -> Class | Function | None:
        if not rest:
            return found
        return self.method(found, rest) if isinstance(found, Class) else None


def parameters(function: Function) -> dict[str, Type]:
    """Return the types of a function's parameters; `self` and `cls` are its class."""
    given = function.node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    found = {each.arg: Type(function.module, each.annotation) for each in every if each.annotation}
    if function.owner is not None and every and every[0].arg in {"self", "cls"}:
        found[every[0].arg] = Type(function.module, ast.Name(function.owner.name))
    return found


def assignments(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield target and value of each single assignment."""
    yield from _assigned(node)


def _assigned(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


def _entity(module: Module, node: Definition) -> Class | Function:
    if isinstance(node, ast.ClassDef):
        return Class(module, node)
    return Function(module, node.name, node, None)
