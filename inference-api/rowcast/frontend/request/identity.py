"""Who asks: the proxy's verified claims, and the request's id.

Claims are believed only when they come with the secret shared with the proxy; without it a request
is nobody's. Requests that come through a proxy without it are of many teams, and nothing tells them
apart: no stream is kept for them. A request id is kept when it is a plain word, else a fresh one is
made.
"""

import hmac
import re
import uuid
from dataclasses import dataclass
from urllib.parse import unquote

from werkzeug.datastructures import Headers

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is."""

    team: str = ""
    token_id: str = ""
    keeps: bool = True  # streams, which those of the same team may read


def caller_of(headers: Headers, proxy_secret: str | None) -> Caller:
    """The claims that the proxy vouches for."""
    if not is_vouched_for(headers, proxy_secret):
        return Caller(keeps=not comes_through_proxy(headers))
    return Caller(
        team=unquote(headers.get("X-Rowcast-Team", "")),
        token_id=unquote(headers.get("X-Rowcast-Token-Id", "")),
    )


def is_vouched_for(headers: Headers, proxy_secret: str | None) -> bool:
    """True if the request shows the secret that this server shares with its proxy."""
    shown = headers.get("X-Rowcast-Proxy-Secret", "")
    return bool(proxy_secret) and hmac.compare_digest(shown.encode(), str(proxy_secret).encode())


def comes_through_proxy(headers: Headers) -> bool:
    """True if the request carries the mark that every proxy of ours sets."""
    return "X-Rowcast-Proxy" in headers


def request_id_of(headers: Headers) -> str:
    """The caller's id for this request, or a fresh one."""
    return kept_id(headers.get("X-Request-ID", ""))


def kept_id(sent: str) -> str:
    """This id, if it may be one, or a fresh one."""
    return sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
