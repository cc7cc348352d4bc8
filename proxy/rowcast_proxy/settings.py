"""Every setting of the proxy: an environment variable that is also a command line flag.

In: `os.environ` and the command line. Out: frozen `ProxySettings`, or one `SettingsError` that
names all bad variables together. Secrets never print. This is the only reader of the environment.
"""

import os
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from rowcast_settings.compounds import Fitting
from rowcast_settings.fields import (
    BaseSettings,
    Field,
    InvalidSettings,
    from_variables,
    optional,
    required,
    setting,
)
from rowcast_settings.kinds import Choice, Kind, Number, Switch, Text, Whole
from rowcast_settings.secret import Secret, SecretText
from rowcast_telemetry.log_lines import LogFormat
from rowcast_telemetry.trace_options import ENDPOINT, HEADERS, SHARE, SWITCH

SHORTEST_SECRET_BYTES = 32
KNOWN_SECRETS = frozenset(
    {
        "test-secret-123",
        "test-secret-456",
        "secret",
        "changeme",
        "change-me",
        "password",
        "jwt-secret",
        "your-256-bit-secret",
        "a-string-secret-at-least-256-bits-long",
    }
)
_GUESSED = "it can be guessed."
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def _listed(text: str) -> list[str]:
    return [word for each in text.split(",") if (word := each.strip())]


def _is_http_origin(text: str) -> bool:
    try:
        url = urlsplit(text)
        port = _port_of(url)
    except ValueError:
        return False
    beyond = url.path.strip("/") or url.query or url.fragment or url.username
    return url.scheme == "http" and bool(url.hostname) and port > 0 and not beyond


def _port_of(url: SplitResult) -> int:
    return 80 if url.port is None else url.port


def _are_origins(listed: str) -> bool:
    return all(origin == "*" or _ORIGIN.fullmatch(origin) for origin in _listed(listed))


def _is_not_blank(secret: Secret) -> bool:
    return bool(secret.get_secret_value().strip())


def _fits_a_header(secret: Secret) -> bool:
    text = secret.get_secret_value()
    return text.isascii() and text.isprintable() and text == text.strip()


LogLevel = Literal["debug", "info", "warning", "error"]

_JWT_SECRET = Fitting(SecretText(), _is_not_blank, "must not be blank")
_HEADER_SECRET = Fitting(
    SecretText(), _fits_a_header, "must be printable ASCII, not blank, without spaces around it"
)
_ORIGINS = Fitting(
    Text(),
    _are_origins,
    "must be *, or origins as browsers send them (https://a.example, http://localhost:3000), "
    "separated by commas",
)
_UPSTREAM = Fitting(
    Text(), _is_http_origin, "must look like http://host:port, with nothing after the port"
)
_FORMATS: Kind[LogFormat] = Choice(("text", "json"), any_case=True)
_LEVELS: Kind[LogLevel] = Choice(("debug", "info", "warning", "error"), any_case=True)


class SettingsError(Exception):
    """Some variables are missing or out of range; each line of the text names one of them."""


class ProxySettings(BaseSettings):
    jwt_secret = required(
        _JWT_SECRET, "key that signs the tokens (HS256)", "Set it to a long random value"
    )
    jwt_require_exp = setting(Switch(), False, "refuse tokens that never expire")
    jwt_leeway_s = setting(Whole(0, 300), 5, "seconds of clock difference allowed in exp and nbf")
    proxy_secret = optional(
        _HEADER_SECRET, "secret shared with the server, which then trusts the forwarded claims"
    )
    proxy_host = setting(Text(least=1), "127.0.0.1", "address to listen on")
    proxy_port = setting(Whole(0, 65535), 1223, "port to listen on")
    proxy_workers = setting(Whole(1, 64), 1, "worker processes")
    proxy_connections = setting(
        Whole(1, 100_000), 4000, "connections per process; beyond that, idle ones are closed"
    )
    proxy_connections_per_address = setting(
        Whole(0, 100_000), 1024, "the same per client address (IPv6: per /64); 0: no limit"
    )
    proxy_heads_limit = setting(
        Whole(1 << 16, 1 << 34), 64 * 1024 * 1024, "bytes of incomplete request heads per process"
    )
    proxy_keepalive_s = setting(
        Whole(1, 3600),
        15,
        "seconds until an idle connection closes; also the limit for reading headers",
    )
    proxy_body_limit = setting(
        Whole(0, 1 << 30), 4 * 1024 * 1024, "maximum size of a request body in bytes"
    )
    proxy_bodies_limit = setting(
        Whole(1 << 16, 1 << 40),
        256 * 1024 * 1024,
        "bytes of request bodies per process; one team gets half",
    )
    proxy_body_timeout_s = setting(
        Number(0, 3600, above=True), 30, "seconds to receive a request body"
    )
    proxy_client_timeout_s = setting(
        Number(1, 3600), 30, "seconds until a client that reads nothing, or has vanished, is cut"
    )
    proxy_graceful_s = setting(
        Whole(2, 86_400), 30, "seconds that open streams may continue after SIGTERM"
    )
    proxy_cors_origins = setting(
        _ORIGINS, "", "origins of web pages that may call, such as https://a.example; * for all"
    )
    upstream_url = setting(_UPSTREAM, "http://127.0.0.1:7000", "address of the server")
    upstream_connect_timeout_s = setting(Number(0, 60, above=True), 3, "seconds to connect to it")
    upstream_first_byte_timeout_s = setting(
        Number(0, 86_400, above=True),
        300,
        "seconds until its response begins, including the wait for a row",
    )
    upstream_idle_timeout_s = setting(
        Number(0, 86_400, above=True), 120, "maximum seconds without data within a response"
    )
    traces = setting(
        SWITCH, "auto", "send traces: on, off, or auto: if OTEL_EXPORTER_OTLP_ENDPOINT is set"
    )
    otel_exporter_otlp_endpoint = optional(ENDPOINT, "OpenTelemetry collector: OTLP over HTTP")
    otel_exporter_otlp_headers = optional(HEADERS, "headers for it: name=value, name=value")
    otel_service_name = setting(Text(least=1), "rowcast-proxy", "the service's name in traces")
    otel_traces_sampler_arg = setting(
        SHARE, 1.0, "share of traces recorded, unless a caller's traceparent decides it"
    )
    log_level = setting(_LEVELS, "info", "debug, info, warning, error")
    log_format = setting(_FORMATS, "text", "text, or json: one object per line, of the same fields")

    @property
    def cors_origins(self) -> frozenset[str]:
        return frozenset(_listed(self.proxy_cors_origins))

    @property
    def upstream_address(self) -> tuple[str, int]:
        url = urlsplit(self.upstream_url)
        return url.hostname or "", _port_of(url)

    @property
    def warnings(self) -> list[str]:
        """What an operator should fix before exposing the proxy."""
        secret = self.jwt_secret.get_secret_value()
        found = []
        if secret.lower() in KNOWN_SECRETS:
            found.append("JWT_SECRET is a well-known example: anyone can sign tokens.")
        elif len(secret.encode()) < SHORTEST_SECRET_BYTES:
            found.append(f"JWT_SECRET is shorter than {SHORTEST_SECRET_BYTES} bytes: {_GUESSED}")
        return found + self._proxy_secret_warnings(secret)

    def _proxy_secret_warnings(self, jwt_secret: str) -> list[str]:
        if self.proxy_secret is None:
            problem = "the server will not trust team and token id, and keeps no streams."
            return [f"PROXY_SECRET is not set: {problem} Set it for both."]
        secret = self.proxy_secret.get_secret_value()
        if secret == jwt_secret:
            return ["PROXY_SECRET equals JWT_SECRET: the server could sign tokens."]
        if len(secret.encode()) < SHORTEST_SECRET_BYTES:
            return [f"PROXY_SECRET is shorter than {SHORTEST_SECRET_BYTES} bytes: {_GUESSED}"]
        return []

    @classmethod
    def load(cls, argv: Sequence[str]) -> Self:
        """Load the settings: flags first, then variables, then defaults."""
        flags = _flags(argv) if argv else {}
        try:
            return cls(**{**from_variables(cls.fields, os.environ), **flags})
        except InvalidSettings as error:
            raise SettingsError("\n".join(f"{fault}." for fault in error.faults)) from None


def settings_table() -> str:
    """Return the Markdown table of `docs/proxy.md`."""
    rows = ["| variable | flag | default | meaning |", "|---|---|---|---|"]
    for field in ProxySettings.fields.values():
        (variable,), (flag,) = field.variables, field.flags
        rows.append(f"| `{variable}` | `{flag}` | {_default_of(field)} | {field.description} |")
    return "\n".join(rows) + "\n"


def _default_of(field: Field[Any]) -> str:
    if field.remedy:
        return "**required**"
    return "not set" if field.default is None else f"`{field.default}`"


def _flags(argv: Sequence[str]) -> dict[str, object]:
    import argparse  # noqa: PLC0415  # only if there are flags

    from rowcast_settings.flags import read_flags  # noqa: PLC0415

    name = os.environ.get("ROWCAST_COMMAND") or "proxy.py"
    parser = argparse.ArgumentParser(
        prog=name,
        description="The JWT reverse proxy. Every flag is also an environment variable:"
        " --proxy-port is PROXY_PORT.",
        usage=f"{name} [--FLAG VALUE ...]",
        formatter_class=partial(argparse.HelpFormatter, max_help_position=46, width=140),
    )
    parser.add_argument(
        "--settings-table", action="store_true", help="print the documentation's table and exit"
    )
    return read_flags(parser, ProxySettings.fields, argv)
