"""Modules are imported before gevent patches blocking calls, so they must not capture any of them.

An Event of the standard library works under gevent, too, but lets all other greenlets run each time
that it is set: to deliver one step's tokens took as many rounds of the event loop as there were
rows.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2]
FOLDERS = (
    "inference-api/rowcast/frontend",
    "inference-api/rowcast/offload",
    "inference-api/rowcast_http",
    "inference-api/rowcast_metrics",
    "inference-api/rowcast_settings",
    "inference-api/rowcast_telemetry",
    "proxy",
)
REPLACED = {"threading": {"Event", "Lock", "RLock", "Condition", "Semaphore"}, "time": {"sleep"}}


def captured(tree: ast.AST) -> Iterator[str]:
    """Yield names that are looked up at import time, outside functions and annotations."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for default in [*node.args.defaults, *node.args.kw_defaults]:
                yield from captured(ast.Expr(default)) if default else ()
        elif isinstance(node, ast.ImportFrom):
            names = REPLACED.get(node.module or "", set())
            yield from (f"{node.module}.{each.name}" for each in node.names if each.name in names)
        elif isinstance(node, ast.AnnAssign):
            yield from captured(ast.Expr(node.value)) if node.value else ()
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in REPLACED.get(node.value.id, ()):
                yield f"{node.value.id}.{node.attr}"
        else:
            yield from captured(node)


@pytest.mark.parametrize(
    "path",
    [path for folder in FOLDERS for path in sorted((SOURCE / folder).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_nothing_that_gevent_replaces_is_captured(path: Path) -> None:
    assert list(captured(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "code",
    [
        "from threading import Lock",
        "lock = threading.Lock()",
        "class A:\n    b: threading.Event = field(default_factory=threading.Event)",
        "def f(sleep=time.sleep): pass",
    ],
)
def test_it_is_seen(code: str) -> None:
    assert list(captured(ast.parse(code)))


def test_what_is_looked_up_when_it_is_called_is_fine() -> None:
    code = "def f(event: threading.Event) -> None:\n    time.sleep(0)\n    threading.Lock()"
    assert list(captured(ast.parse(code))) == []
