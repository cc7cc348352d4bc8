"""Parts of expressions and annotations: dotted names, members of unions, possible values."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from commands.house.source import FunctionNode

WRAPPERS = {"Annotated", "ClassVar", "Final", "Optional", "Required", "type"}


def dotted(node: ast.expr) -> str:
    """Return a name with dots; "" for any other expression."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(value, name):
            return f"{inner}.{name}" if (inner := dotted(value)) else ""
        case ast.Subscript(value):
            return dotted(value)
    return ""


def alternatives(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the parts of a union, without None and wrappers."""
    match node:
        case ast.Constant(str(text)):
            yield from alternatives(ast.parse(text, mode="eval").body)
        case ast.BinOp(left, ast.BitOr(), right):
            yield from alternatives(left)
            yield from alternatives(right)
        case ast.Subscript(value, inner) if dotted(value).rpartition(".")[2] in WRAPPERS:
            yield from alternatives(inner.elts[0] if isinstance(inner, ast.Tuple) else inner)
        case ast.Constant(None):
            return
        case _:
            yield node


def possible_values(node: ast.expr) -> Sequence[ast.expr]:
    """Return the expressions whose value this one may have."""
    match node:
        case ast.IfExp(_, one, other):
            return (one, other)
        case ast.BoolOp(_, values):
            return values
        case ast.NamedExpr(_, value) | ast.Await(value):
            return (value,)
    return ()


def is_property(node: FunctionNode) -> bool:
    return any(
        dotted(each).rpartition(".")[2] in {"property", "cached_property"}
        for each in node.decorator_list
    )
