"""The allow-list: what may be asked of the server, and what must be shown for it.

`match(method, target)` gives the route and the target to send upstream. That target is built from
the table and the name in it, never from the path received: nothing decodes, joins or normalises a
path, so `//`, `..`, `;` and percent-escapes simply are not in the table. A dialect adds one line.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from rowcast_proxy.errors import MethodNotAllowed, NotFound

NAMES: Final = {"model": r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", "stream": "[0-9a-f]{1,64}"}
_ABSOLUTE_FORM: Final = re.compile(r"https?://[^/?#]+", re.IGNORECASE)


class Access(Enum):
    TOKEN = "a verified token"  # noqa: S105
    OPEN = "nothing"
    LOCAL = "nothing; the proxy itself answers"


@dataclass(frozen=True, slots=True)
class Route:
    path: str
    methods: tuple[str, ...]
    access: Access = Access.TOKEN
    pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        exact = re.escape(self.path)
        for name, form in NAMES.items():
            exact = exact.replace(f"<{name}>", f"(?P<{name}>{form})")
        object.__setattr__(self, "pattern", re.compile(exact))

    def target(self, path: str) -> str | None:
        """The path to send upstream when `path` is this route's."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        target = self.path
        for name, value in found.groupdict().items():
            target = target.replace(f"<{name}>", value)
        return target


ROUTES: Final = (
    Route("/liveness", ("GET",), Access.LOCAL),
    *(Route(path, ("GET",), Access.OPEN) for path in ("/readiness", "/health", "/health_check")),
    Route("/", ("GET", "POST")),
    *(Route(f"/{name}/<model>", ("POST",)) for name in ("predictions", "inference", "chat")),
    *(Route(f"/v1/{name}", ("POST",)) for name in ("completions", "chat/completions")),
    *(Route(path, ("GET",)) for path in ("/v1/models", "/v1/models/<model>")),
    Route("/v1/streams/<stream>", ("GET", "DELETE")),
    *(Route(f"/v1/{name}", ("POST",)) for name in ("count_tokens", "tokenize", "detokenize")),
    Route("/v1/replay", ("POST",)),
    *(Route(path, ("POST",)) for path in ("/tokenize", "/detokenize")),
    *(Route(path, ("GET",), Access.OPEN) for path in ("/openapi.json", "/docs", "/redoc")),
)


@dataclass(frozen=True, slots=True)
class Matched:
    route: Route
    path: str


def match(method: str, target: str) -> Matched:
    """The route of a request line, whatever form its target has."""
    path = path_of(target)
    allowed: list[str] = []
    for route in ROUTES:
        upstream_path = route.target(path)
        if upstream_path is None:
            continue
        if method in route.methods:
            return Matched(route, upstream_path)
        allowed += route.methods
    if allowed:
        raise MethodNotAllowed(
            f"This path takes {' or '.join(allowed)}, not {method}.", ("Allow", ", ".join(allowed))
        )
    raise NotFound("There is nothing at this path.")


def path_of(target: str) -> str:
    """The path of a request line's target, in whatever form it came."""
    absolute = _ABSOLUTE_FORM.match(target)
    if absolute:
        target = target[absolute.end() :] or "/"
    return target.partition("?")[0] or "/"
