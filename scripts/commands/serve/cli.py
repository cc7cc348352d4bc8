"""What the user of `scripts/serve` reads: progress, a link, the curl line, and why it ended.

In: argv. Out: lines on the terminal and an exit status: 0 if we were asked to end and did so
cleanly, 1 if something went wrong, 2 if the options are invalid.
"""

import importlib.util
import json
import os
import shlex
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commands.serve import options
from commands.serve.options import InvalidOptions, Options
from commands.serve.stack import Ended, NeverReady, Stack
from commands.serve.stop_requests import StopRequests
from local.child import Child

TOKEN_HOURS = 12
NEWS_SECONDS = 5.0
NEEDED = ("gunicorn", "gevent", "flask", "jwt", "msgspec")


def main(argv: Sequence[str]) -> int:
    stops = StopRequests()
    try:
        chosen = options.read(argv, os.environ)
        _check_installed()
        options.check_ports(chosen)
    except InvalidOptions as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    stops.listen()
    return _run(chosen, stops)


def _run(chosen: Options, stops: StopRequests) -> int:
    if not chosen.foreground:
        chosen.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        if chosen.logs == options.LOGS:
            chosen.logs.chmod(0o700)  # the rights of other folders are their owner's concern
    parts = chosen.parts()
    stack = Stack(parts, stops)
    failed = True
    try:
        _serve(chosen, stack)
        failed = False
    except Ended as end:
        _print_reason(str(end), [end.part])
    except NeverReady as error:
        _print_reason(str(error), parts)
    finally:
        killed = _stop(chosen, stack, failed)
    return int(failed or killed)


def _serve(chosen: Options, stack: Stack) -> None:
    """Serve until we are asked to end."""
    began = time.monotonic()
    _print(f"Starting the server on {options.LOCAL}:{chosen.port}")
    _print(f"Starting the proxy on {chosen.proxy_host}:{chosen.proxy_port}")
    stack.start()
    answer = stack.await_ready(chosen.reach, chosen.proxy_port, chosen.patience, _WaitNotice().show)
    if answer is None:
        return
    model = str(answer.get("model", "scripted"))
    _print(f"Ready after {time.monotonic() - began:.1f} s, serving the model {model}.")
    if not chosen.foreground:
        _print(_instructions(chosen, model))
    stack.watch()


def _stop(chosen: Options, stack: Stack, failed: bool) -> bool:
    """Stop both; return whether one had to be killed."""
    if not failed:
        _print("\nStopping; open streams may finish. Ctrl-C again ends them.")
    killed = stack.stop(chosen.stop_seconds)
    for part in killed:
        _print(f"The {part.name} did not end in time and was killed.")
    if not failed:
        _print("Stopped.")
    return bool(killed)


class _WaitNotice:
    """Reports what is awaited, at intervals."""

    def __init__(self) -> None:
        self._due = time.monotonic() + NEWS_SECONDS

    def show(self, reason: str) -> None:
        if time.monotonic() > self._due:
            self._due = time.monotonic() + NEWS_SECONDS
            _print(f"Waiting until ready: {reason}")


def curl_line(chosen: Options, model: str, token: str) -> str:
    """Return a command that streams when pasted."""
    body = json.dumps({"text": "Once upon a time", "max_tokens": 200})
    words = ["curl", "-N", f"{chosen.url}/inference/{model.rpartition('/')[2]}"]
    words += ["-H", f"Authorization: Bearer {token}", "-d", body]
    return shlex.join(words)


def page_link(chosen: Options, token: str) -> str:
    """Return the page's address; browsers send the part after `#` to nobody."""
    return f"{chosen.url}/#token={token}"


def token_of(secret: str) -> str:
    """Return a token for the user of this machine."""
    import jwt  # noqa: PLC0415  # only known to be there after main has checked

    claims: dict[str, Any] = {
        "team_id": "local",
        "token_id": "serve",
        "exp": int(time.time()) + TOKEN_HOURS * 3600,
    }
    with warnings.catch_warnings(action="ignore"):  # the proxy itself warns about weak secrets
        return jwt.encode(claims, secret, algorithm="HS256")


def _instructions(chosen: Options, model: str) -> str:
    logs = ", ".join(_shown(part.log) for part in chosen.parts() if part.log)
    token = token_of(chosen.jwt_secret)
    return (
        f"Open this in a browser:\n\n"
        f"{page_link(chosen, token)}\n\n"
        f"Or paste this into another terminal:\n\n"
        f"{curl_line(chosen, model, token)}\n\n"
        f"The token is valid for {TOKEN_HOURS} hours. Logs: {logs}\nCtrl-C stops both."
    )


def _shown(path: Path) -> str:
    """Return the path as seen from here, or the absolute one if it is elsewhere."""
    relative = os.path.relpath(path)
    return str(path.absolute()) if relative.startswith("..") else relative


def _check_installed() -> None:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidOptions(
            f"This Python has no {', '.join(missing)}: run `make serve`, which installs them, "
            "or `make install` and then .venv/bin/python scripts/serve"
        )


def _print_reason(problem: str, parts: Sequence[Child]) -> None:
    _print(problem)
    for part in parts:
        tail = part.tail()
        if tail:
            _print(f"The end of {part.log}:")
            _print("\n".join(f"    {line}" for line in tail))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
