"""The allow-list: which requests go to the server, and what each requires.

`match(method, target)` returns the route and the target to send upstream. That target is built from
the table and the name in it, never from the received path: nothing decodes, joins or normalises a
path, so `//`, `..`, `;` and percent-escapes simply do not match. A dialect adds one line.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import unquote

from rowcast_proxy.errors import MethodNotAllowed, NotFound

_NAME: Final = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
NAMES: Final = {
    "model": _NAME,
    "id": f"{_NAME}(?:(?:/|%2[Ff]){_NAME}){{0,3}}",  # of a model, with the slashes of hub ids
    "stream": "[0-9a-f]{1,64}",
    "response": "resp_[0-9a-f]{1,64}",
    "task": "[0-9a-f]{1,64}",
    "file": "file-[a-z0-9-]{1,64}",
    "batch": "batch_[0-9a-f]{1,64}",
    "asset": "[a-z]{1,40}\\.(?:js|css|svg)",
}
_ABSOLUTE_FORM: Final = re.compile(r"https?://[^/?#]+", re.IGNORECASE)


class Access(Enum):
    TOKEN = "a verified token"  # noqa: S105
    OPEN = "nothing"
    LOCAL = "nothing; the proxy itself answers"


@dataclass(frozen=True, slots=True)
class Route:
    path: str
    methods: tuple[str, ...]  # GET includes HEAD
    access: Access = Access.TOKEN
    pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        exact = re.escape(self.path)
        for name, form in NAMES.items():
            exact = exact.replace(f"<{name}>", f"(?P<{name}>{form})")
        object.__setattr__(self, "pattern", re.compile(exact))

    @property
    def allowed(self) -> tuple[str, ...]:
        """The listed methods, and HEAD where GET is one of them."""
        return (*self.methods, "HEAD") if "GET" in self.methods else self.methods

    def target(self, path: str) -> str | None:
        """Return the path to send upstream if `path` matches this route; None otherwise."""
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
    Route("/", ("GET",), Access.OPEN),  # the page, or readiness
    Route("/", ("POST",)),
    Route("/static/<asset>", ("GET",), Access.OPEN),
    *(
        Route(f"{base}/{name}", ("POST",))
        for base in ("/v1", "")  # a base URL without /v1
        for name in (
            "completions",
            "chat/completions",
            "embeddings",
            "responses",
            "responses/input_tokens",
        )
    ),
    *(
        route
        for base in ("/v1", "")
        for route in (
            Route(f"{base}/responses/<response>", ("GET", "DELETE")),
            Route(f"{base}/responses/<response>/cancel", ("POST",)),
            Route(f"{base}/responses/<response>/input_items", ("GET",)),
        )
    ),
    *(Route(f"/v1/messages{path}", ("POST",)) for path in ("", "/count_tokens")),
    *(Route(f"/{name}/<model>", ("POST",)) for name in ("predictions", "inference", "chat")),
    *(Route(path, ("POST",)) for path in ("/generate", "/generate/", "/generate_stream")),
    Route("/info", ("GET",)),
    *(
        Route(f"{base}/{path}", ("GET",))
        for base in ("/v1", "")
        for path in ("models", "models/<id>")
    ),
    *(Route(path, ("POST",)) for path in ("/models/load", "/models/unload")),
    Route("/v1/streams/<stream>", ("GET", "DELETE")),
    *(Route(f"/v1/{name}", ("GET", "POST")) for name in ("files", "batches")),
    Route("/v1/files/<file>", ("GET", "DELETE")),
    Route("/v1/files/<file>/content", ("GET",)),
    Route("/v1/batches/<batch>", ("GET",)),
    Route("/v1/batches/<batch>/cancel", ("POST",)),
    Route("/send_text", ("POST",)),
    *(Route(f"/{name}_task_status/<task>", ("GET",)) for name in ("get", "poll")),
    *(Route(path, ("GET",)) for path in ("/tasks", "/tasks/")),
    Route("/tasks/<task>", ("GET", "DELETE")),
    Route("/tasks/<task>/cancel", ("POST",)),
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
    """Return the route of a request line, whatever form its target has."""
    path = path_of(target)
    found = [(route, upstream) for route in ROUTES if (upstream := route.target(path)) is not None]
    for route, upstream in found:
        if method in route.allowed:
            return Matched(route, upstream)
    shown = shown_path(path)
    if not found:
        raise NotFound(f"Not Found: nothing is served at {shown}")
    taken = " or ".join(sorted({method for route, _ in found for method in route.methods}))
    raise MethodNotAllowed(
        f"Method Not Allowed: {method[:20]} is not allowed at {shown}; send {taken}",
        ("Allow", ", ".join(methods_at(path))),
    )


def methods_at(path: str) -> list[str]:
    """Return the methods that a path takes; none if there is no such path."""
    taken = (route.allowed for route in ROUTES if route.target(path) is not None)
    return list(dict.fromkeys(method for methods in taken for method in methods))


def shown_path(path: str) -> str:
    """Return a path as error messages show it; the server uses the same format."""
    return "/" + unquote(path, errors="replace").lstrip("/")[:199]


def path_of(target: str) -> str:
    """Return the path of a request line's target, in either form."""
    absolute = _ABSOLUTE_FORM.match(target)
    if absolute:
        target = target[absolute.end() :] or "/"
    return target.partition("?")[0] or "/"
