"""The caller: the proxy's verified claims, and the request's id.

Claims are trusted only with the secret shared with the proxy; a request without it has no owner.
Requests through a proxy without the secret belong to many teams that cannot be told apart, so no
streams are kept for them. The proxy names administrators; at a server without the secret, every
caller on this machine is one, unless the request came through a proxy. A request id is used if it
is a plain word; otherwise a fresh one is made.
"""

import hmac
import ipaddress
import re
import uuid
from dataclasses import dataclass, field
from urllib.parse import unquote

from werkzeug.datastructures import Headers

from rowcast.errors import Forbidden

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PROXY_HEADERS = ("X-Rowcast-Proxy", "Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a request."""

    team: str = ""
    token_id: str = ""
    known: bool = True  # its team can be distinguished from others
    keeps: bool = True  # keeps streams, which the same team may read
    admin: bool = False  # may load and unload models
    scraper: bool = False  # may read metrics
    local: bool = field(default=False, compare=False)  # a program on this machine, without proxy

    @property
    def owner(self) -> str:
        """The team whose streams and background requests the caller may read and cancel."""
        if not self.keeps:
            raise Forbidden(
                "no streams are kept for requests through a proxy without PROXY_SECRET, because "
                "their teams cannot be distinguished; set the same PROXY_SECRET for proxy and "
                "server"
            )
        return self.team


def caller_of(headers: Headers, proxy_secret: str | None, address: str = "") -> Caller:
    """Return the claims that the proxy vouches for. `address`: the peer of the connection."""
    if not is_vouched_for(headers, proxy_secret):
        local, known = is_local(headers, address), not comes_through_proxy(headers)
        return Caller(
            known=known,
            keeps=known,
            admin=local and not proxy_secret,
            local=local,
        )
    return Caller(
        team=unquote(headers.get("X-Rowcast-Team", "")),
        token_id=unquote(headers.get("X-Rowcast-Token-Id", "")),
        admin=headers.get("X-Rowcast-Admin") == "true",
        scraper=headers.get("X-Rowcast-Scraper") == "true",
    )


def is_vouched_for(headers: Headers, proxy_secret: str | None) -> bool:
    """True if the request carries the secret that this server shares with its proxy."""
    shown = headers.get("X-Rowcast-Proxy-Secret", "")
    return bool(proxy_secret) and hmac.compare_digest(shown.encode(), str(proxy_secret).encode())


def comes_through_proxy(headers: Headers) -> bool:
    """True if the request carries the header that each of our proxies sets."""
    return "X-Rowcast-Proxy" in headers


def is_local(headers: Headers, address: str) -> bool:
    """True if a program on this machine sent the request, and not through a proxy."""
    return _is_loopback(address) and not any(name in headers for name in _PROXY_HEADERS)


def request_id_of(headers: Headers) -> str:
    """Return the caller's id for this request, or a fresh one."""
    return valid_or_fresh_id(headers.get("X-Request-ID", ""))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback
    except ValueError:
        return False


def valid_or_fresh_id(sent: str) -> str:
    """Return this id if it is valid, else a fresh one."""
    return sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
