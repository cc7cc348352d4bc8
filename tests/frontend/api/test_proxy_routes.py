"""The proxy's list of routes, held to the dialects that the server registers.

Covers `frontend/api`.
"""

import pytest

from rowcast.frontend.api import DIALECTS
from rowcast.frontend.api.dialect import Dialect
from rowcast_proxy.routes import ROUTES, Access, match

EXAMPLES = {
    "{model}": "scripted",
    "{stream}": "00ff",
    "{task}": "00ff",
    "{response}": "resp_00ff",
    "{file}": "file-00ff",
    "{batch}": "batch_00ff",
    "{asset}": "main.js",
}
MODELS = {"<id>": "{model}", **{f"<{name[1:-1]}>": name for name in EXAMPLES}}


def paths_of(dialect: Dialect) -> list[tuple[str, str]]:
    return [(each.method.upper(), each.path) for each in dialect.operations]


def replaced(path: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        path = path.replace(name, value)
    return path


@pytest.mark.parametrize(
    ("dialect", "method", "path"),
    [(each, *at) for each in DIALECTS for at in paths_of(each)],
)
def test_the_proxy_forwards_what_a_dialect_serves(dialect: Dialect, method: str, path: str) -> None:
    found = match(method, replaced(path, EXAMPLES))
    assert (found.route.access is not Access.TOKEN) <= dialect.open


def test_the_proxy_forwards_nothing_else() -> None:
    known = {at for dialect in DIALECTS for at in paths_of(dialect)}
    forwarded = {
        (method, replaced(route.path, MODELS))
        for route in ROUTES
        for method in route.methods
        if route.access is not Access.OWN_METRICS
    }
    assert forwarded == known
