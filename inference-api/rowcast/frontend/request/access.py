"""Which callers are allowed: the proxy; without a PROXY_SECRET, callers that use a local name.

In: a request's headers. Out: nothing, or the error that refuses it. With the secret, only requests
that carry it pass. Without it no token is required, so a web page must not be able to send requests
in the name of the person who views it: Host must be a name of this machine (against DNS rebinding),
and so must Origin, which browsers send (against requests across origins).
"""

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

from rowcast.errors import Forbidden, ProxyUnknown
from rowcast.frontend.request.identity import comes_through_proxy, is_vouched_for
from rowcast.settings import Settings

_EVERYWHERE = frozenset({"0.0.0.0", "::"})


@dataclass(frozen=True, slots=True)
class Access:
    """The requirements of one server."""

    secret: str | None
    names: frozenset[str]  # in addition to those of the loopback
    any_address: bool  # whether an address in Host may be one of this machine's

    @classmethod
    def of(cls, settings: Settings) -> Self:
        secret = settings.proxy_secret
        return cls(
            secret.get_secret_value() if secret else None,
            frozenset({settings.host.lower(), *settings.host_names}),
            settings.host in _EVERYWHERE,
        )

    def check(self, headers: Headers) -> None:
        """Raise Forbidden or ProxyUnknown if this request must not be served."""
        if self.secret:
            self._check_vouched(headers, self.secret)
        else:
            self.check_local(headers)

    def _check_vouched(self, headers: Headers, secret: str) -> None:
        if is_vouched_for(headers, secret):
            return
        if comes_through_proxy(headers):
            raise ProxyUnknown(
                "the proxy does not send this server's PROXY_SECRET; set the same value for both"
            )
        raise Forbidden(
            "this server has a PROXY_SECRET and serves only its proxy; send requests to the proxy, "
            "or start the server without PROXY_SECRET"
        )

    def check_local(self, headers: Headers) -> None:
        """Raise Forbidden if a browser page may have sent this request from this machine."""
        host = headers.get("Host", "")
        if host and not self._is_ours(_name_in(host)):
            raise Forbidden(
                f"Host is {host[:80]!r}, which is not a loopback name of this machine; use "
                "localhost, or add it to ALLOWED_HOSTS"
            )
        origin = headers.get("Origin")
        if origin is not None and not self._is_ours(_host_of(origin)):
            raise Forbidden(
                f"Origin is {origin[:80]!r}: pages of other hosts may not send requests; add the "
                "host to ALLOWED_HOSTS, or the origin to the PROXY_CORS_ORIGINS of a proxy"
            )

    def _is_ours(self, name: str) -> bool:
        if name in self.names or "*" in self.names:
            return bool(name)
        if name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback or self.any_address
        except ValueError:
            return False


def _name_in(host: str) -> str:
    """Return the name in a Host header, which may have a port."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower()


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""
