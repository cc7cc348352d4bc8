"""What to run and where: the command line and the environment, read once and checked.

In: argv and a mapping of variables. Out: frozen `Options`, with the environment of each part. The
secrets are fresh random ones unless given; they never print. Nothing is started here.
"""

import argparse
import errno
import os
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.child import Child

ROOT = Path(__file__).resolve().parents[3]
NAME = os.environ.get("ROWCAST_COMMAND") or "scripts/serve"
LOCAL = "127.0.0.1"
EVERYWHERE = {"0.0.0.0": LOCAL, "::": "::1"}  # the address at which such a listener is reached
PACE = "0.03"  # seconds per step: slow enough to see the scripted model stream

DESCRIPTION = """Starts server and proxy on this machine, waits until they are ready, and prints a
link to the page and a curl line, with a token. Ctrl-C stops both."""
EPILOG = """variables:
  PORT, PROXY_PORT  where to listen (7000 and 1223)
  PROXY_HOST        address of the proxy (127.0.0.1); the server is always local
  JWT_SECRET        signs the tokens; a fresh random one without it
  PROXY_SECRET      shared by server and proxy; a fresh random one without it
  STEP_SECONDS      pace of the scripted model (0.03)
  and all those of docs/settings.md and docs/proxy.md"""


class InvalidOptions(Exception):
    """The options do not allow a start; the text says what to change."""


def _logs(environ: Mapping[str, str]) -> Path:
    """Return the folder for logs: in the source tree, or in this user's state once installed."""
    if (ROOT / "Makefile").is_file():
        return ROOT / ".rowcast"
    state = environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "rowcast" / "logs"


LOGS = _logs(os.environ)


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that must be known before the start."""

    port: int
    proxy_port: int
    proxy_host: str
    foreground: bool
    patience: float
    logs: Path
    jwt_secret: str = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    @property
    def reach(self) -> str:
        """The address at which this machine reaches the proxy."""
        return EVERYWHERE.get(self.proxy_host, self.proxy_host)

    @property
    def url(self) -> str:
        host = f"[{self.reach}]" if ":" in self.reach else self.reach
        return f"http://{host}:{self.proxy_port}"

    @property
    def stop_seconds(self) -> float:
        """Longer than the parts let open streams continue."""
        names = ("GRACEFUL_SECONDS", "PROXY_GRACEFUL_S")
        return 15.0 + max(_seconds(self.environment.get(name, ""), 30.0) for name in names)

    def parts(self) -> tuple[Child, Child]:
        """Return server and proxy, not started."""
        logs = None if self.foreground else self.logs
        here = Path.cwd()  # so that MODEL may be a relative path
        config = str(ROOT / "gunicorn.conf.py")
        return (
            Child(
                "server",
                (sys.executable, "-P", "-m", "gunicorn", "--config", config),
                _without(self.environment, "JWT_SECRET"),
                here,
                logs and logs / "server.log",
            ),
            Child(
                "proxy",
                (sys.executable, str(ROOT / "proxy" / "proxy.py")),
                dict(self.environment) | {"JWT_SECRET": self.jwt_secret},
                here,
                logs and logs / "proxy.log",
            ),
        )


def read(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Read the command line first, then variables, then defaults. Raises Unfit."""
    given = _parser().parse_args(argv)
    known = {name: value for name, value in environ.items() if value.strip()}
    if given.foreground and "JWT_SECRET" not in known:
        raise InvalidOptions(
            "JWT_SECRET is not set. With --foreground it must be: a long random value."
        )
    port = _port("PORT", given.port or known.get("PORT"), 7000)
    proxy_port = _port("PROXY_PORT", given.proxy_port or known.get("PROXY_PORT"), 1223)
    if port == proxy_port:
        raise InvalidOptions(
            f"Server and proxy cannot both use port {port}: change PORT or PROXY_PORT."
        )
    proxy_host = known.get("PROXY_HOST", LOCAL)
    ours = {
        "HOST": LOCAL,
        "PORT": str(port),
        "PROXY_HOST": proxy_host,
        "PROXY_PORT": str(proxy_port),
        "UPSTREAM_URL": f"http://{LOCAL}:{port}",
        "PROXY_SECRET": known.get("PROXY_SECRET") or secrets.token_hex(32),
        "PYTHONUNBUFFERED": "1",
    }
    if given.model:
        known.pop("MODELS", None)  # one that is named takes precedence
        ours["MODEL"] = given.model
    pace = {} if given.foreground else {"STEP_SECONDS": PACE}
    return Options(
        port=port,
        proxy_port=proxy_port,
        proxy_host=proxy_host,
        foreground=given.foreground,
        patience=given.patience,
        logs=given.logs,
        jwt_secret=known.get("JWT_SECRET") or secrets.token_hex(32),
        environment=pace | known | ours,
    )


def check_ports(options: Options) -> None:
    """Check the ports before anything is started. Raises Unfit."""
    wanted = (("PORT", LOCAL, options.port), ("PROXY_PORT", options.proxy_host, options.proxy_port))
    for variable, host, port in wanted:
        problem = _problem_of(host, port)
        if problem:
            raise InvalidOptions(
                f"Port {port} on {host} {problem}; choose another: {variable}={port + 1}"
            )


def _problem_of(host: str, port: int) -> str:
    """Return why a port cannot be used; empty if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            return (
                "is in use: stop the process that listens there"
                if in_use
                else f"cannot be used: {error}"
            )
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="a folder, a hub id or a model in the box")
    add("--port", metavar="N", help="the server's port, as PORT")
    add("--proxy-port", metavar="N", help="the proxy's port, as PROXY_PORT")
    add(
        "--patience",
        type=float,
        default=600.0,
        metavar="S",
        help="seconds to wait until ready (600)",
    )
    add("--logs", type=Path, default=LOGS, metavar="DIR", help=f"folder for logs ({LOGS})")
    add(
        "--foreground",
        action="store_true",
        help="for containers: log to the terminal, print no token, require JWT_SECRET",
    )
    return parser


def _port(variable: str, value: str | None, default: int) -> int:
    text = value or str(default)
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= number <= 65535:
        raise InvalidOptions(f"{variable} is {text!r}; a port is a number from 1 to 65535.")
    return number


def _seconds(text: str, default: float) -> float:
    """Parse seconds; the part itself reports a bad value."""
    return float(text) if text.isascii() and text.isdigit() else default


def _without(environment: Mapping[str, str], name: str) -> dict[str, str]:
    return {each: value for each, value in environment.items() if each != name}
