"""Cross-origin requests from browsers: the allow-list of origins (CORS), empty by default.

In: a request's headers. Out: the headers that let a page of another origin read the answer, and the
answer to its preflight, which carries no token. Credentials such as cookies are never allowed: the
caller's only proof is the token that the page itself holds.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rowcast_proxy.errors import Forbidden, MethodNotAllowed
from rowcast_proxy.forwarding.headers import Headers

EXPOSED: Final = "X-Request-ID, X-Stream-ID, X-Rowcast-Seed, X-Rowcast-Unenforced, Retry-After"
MAX_AGE_SECONDS: Final = 600
_NAMES: Final = re.compile(r"[A-Za-z0-9-]{1,64}(?:[ \t]*,[ \t]*[A-Za-z0-9-]{1,64}){0,63}")
_USUAL: Final = "authorization, content-type, idempotency-key, last-event-id, x-request-id"


class Cors:
    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins

    def headers(self, environ: Mapping[str, Any]) -> Headers:
        """Return the headers for every answer; none while the list is empty."""
        if not self._origins:
            return []
        if "*" in self._origins:
            allowed = [("Access-Control-Allow-Origin", "*")]
        elif (origin := environ.get("HTTP_ORIGIN")) in self._origins:
            allowed = [("Access-Control-Allow-Origin", str(origin)), ("Vary", "Origin")]
        else:
            return [("Vary", "Origin")]
        return [*allowed, ("Access-Control-Expose-Headers", EXPOSED)]

    def preflight(self, environ: Mapping[str, Any], methods: Sequence[str]) -> Headers:
        """Return the headers that answer OPTIONS at a path that takes `methods`. Raises Refusal."""
        allow = ("Allow", ", ".join(methods))
        if not self._origins:
            raise MethodNotAllowed(
                "OPTIONS is answered only if PROXY_CORS_ORIGINS lists the origins of web pages",
                allow,
            )
        if "*" not in self._origins and environ.get("HTTP_ORIGIN") not in self._origins:
            raise Forbidden("PROXY_CORS_ORIGINS does not list this origin")
        return [
            allow,
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            ("Access-Control-Allow-Headers", _requested_headers(environ)),
            ("Access-Control-Max-Age", str(MAX_AGE_SECONDS)),
        ]


def _requested_headers(environ: Mapping[str, Any]) -> str:
    """Return the headers that the page wants to send: all are allowed, since none is harmful."""
    names = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
    return names if _NAMES.fullmatch(names) else _USUAL
