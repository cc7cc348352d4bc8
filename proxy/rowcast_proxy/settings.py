"""Every setting of the proxy: an environment variable that is also a command line flag.

In: `os.environ` and the command line. Out: frozen `ProxySettings`, or one `SettingsError` that
names all bad variables together. Secrets never print. This is the only reader of the environment.
"""

import argparse
import os
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsConfigDict

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


class SettingsError(Exception):
    """Some variables are missing or out of range; each line of the text names one of them."""


class ProxySettings(BaseSettings):
    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_avoid_json=True,
    )

    jwt_secret: SecretStr = Field(description="key that signs the tokens (HS256)")
    jwt_require_exp: bool = Field(False, description="refuse tokens that never expire")
    jwt_leeway_s: int = Field(
        5, ge=0, le=300, description="seconds of clock difference allowed in exp and nbf"
    )
    proxy_secret: SecretStr | None = Field(
        None, description="secret shared with the server, which then trusts the forwarded claims"
    )
    proxy_host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    proxy_port: int = Field(1223, ge=0, le=65535, description="port to listen on")
    proxy_workers: int = Field(1, ge=1, le=64, description="worker processes")
    proxy_connections: int = Field(
        4000,
        ge=1,
        le=100_000,
        description="connections per process; beyond that, idle ones are closed",
    )
    proxy_connections_per_address: int = Field(
        1024,
        ge=0,
        le=100_000,
        description="the same per client address (IPv6: per /64); 0: no limit",
    )
    proxy_heads_limit: int = Field(
        64 * 1024 * 1024,
        ge=1 << 16,
        le=1 << 34,
        description="bytes of incomplete request heads per process",
    )
    proxy_keepalive_s: int = Field(
        15,
        ge=1,
        le=3600,
        description="seconds until an idle connection closes; also the limit for reading headers",
    )
    proxy_body_limit: int = Field(
        4 * 1024 * 1024, ge=0, le=1 << 30, description="maximum size of a request body in bytes"
    )
    proxy_bodies_limit: int = Field(
        256 * 1024 * 1024,
        ge=1 << 16,
        le=1 << 40,
        description="bytes of request bodies per process; one team gets half",
    )
    proxy_body_timeout_s: float = Field(
        30, gt=0, le=3600, description="seconds to receive a request body"
    )
    proxy_client_timeout_s: float = Field(
        30,
        ge=1,
        le=3600,
        description="seconds until a client that reads nothing, or has vanished, is cut",
    )
    proxy_graceful_s: int = Field(
        30, ge=2, le=86_400, description="seconds that open streams may continue after SIGTERM"
    )
    proxy_cors_origins: str = Field(
        "", description="origins of web pages that may call, such as https://a.example; * for all"
    )
    upstream_url: str = Field("http://127.0.0.1:7000", description="address of the server")
    upstream_connect_timeout_s: float = Field(
        3, gt=0, le=60, description="seconds to connect to it"
    )
    upstream_first_byte_timeout_s: float = Field(
        300,
        gt=0,
        le=86_400,
        description="seconds until its response begins, including the wait for a row",
    )
    upstream_idle_timeout_s: float = Field(
        120, gt=0, le=86_400, description="maximum seconds without data within a response"
    )
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="debug, info, warning, error"
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("jwt_secret", "proxy_secret")
    @classmethod
    def _not_blank(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        text = value.get_secret_value()
        if not text.strip():
            raise ValueError("must not be blank")
        return value

    @field_validator("proxy_secret")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value else ""
        if not (text.isascii() and text.isprintable()) or text != text.strip():
            raise ValueError("must be printable ASCII without spaces around it")
        return value

    @field_validator("proxy_cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        if not all(origin == "*" or _ORIGIN.fullmatch(origin) for origin in _listed(value)):
            raise ValueError(
                "must be *, or origins as browsers send them (https://a.example, "
                "http://localhost:3000), separated by commas"
            )
        return value

    @field_validator("upstream_url")
    @classmethod
    def _plain_http(cls, value: str) -> str:
        if not _is_http_origin(value):
            raise ValueError("must look like http://host:port, with nothing after the port")
        return value

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
        flags: CliSettingsSource[Any] = CliSettingsSource(
            cls,
            root_parser=_parser(),
            cli_parse_args=False,
            formatter_class=_wide_help,
        )
        try:
            return cls(_cli_settings_source=flags(args=list(argv)))  # type: ignore[call-arg]
        except ValidationError as error:
            raise SettingsError("\n".join(_complaints(error))) from None


def settings_table() -> str:
    """Return the Markdown table of `docs/proxy.md`."""
    rows = ["| variable | flag | default | meaning |", "|---|---|---|---|"]
    for name, field in ProxySettings.model_fields.items():
        flag = "--" + name.replace("_", "-")
        rows.append(f"| `{name.upper()}` | `{flag}` | {_default_of(field)} | {field.description} |")
    return "\n".join(rows) + "\n"


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    return "not set" if field.default is None else f"`{field.default}`"


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


_wide_help = partial(argparse.HelpFormatter, max_help_position=46, width=140)


def _parser() -> argparse.ArgumentParser:
    name = os.environ.get("ROWCAST_COMMAND") or "proxy.py"
    parser = argparse.ArgumentParser(
        prog=name,
        description="The JWT reverse proxy. Every flag is also an environment variable:"
        " --proxy-port is PROXY_PORT.",
        usage=f"{name} [--FLAG VALUE ...]",
        formatter_class=_wide_help,
    )
    parser.add_argument(
        "--settings-table", action="store_true", help="print the documentation's table and exit"
    )
    return parser


def _complaints(error: ValidationError) -> list[str]:
    """Return one sentence per variable, without its value, which may be a secret."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        variable = str(problem["loc"][0]).upper()
        if problem["type"] == "missing":
            lines.append(f"{variable} is not set. Set it to a long random value.")
        else:
            lines.append(f"{variable}: {problem['msg'].removeprefix('Value error, ')}.")
    return lines
