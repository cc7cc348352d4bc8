"""The command line of `scripts/top`, its loop and its exit status.

In: argv, and the variables ROWCAST, TOKEN and NO_COLOR. Out: the rows, every second, until `q` or
Ctrl-C; with --once, or if the output is no terminal, one screen. A server that is away is tried
again. Status: 0 ended by the user, or printed; 2 an invalid command; 3 the server refuses, or with
--once does not answer.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from commands.top.report import Report, printable, report_of
from commands.top.screen import Screen
from commands.top.terminal import Terminal
from http_client.json_server import JsonServer, Refused, Unreachable

DONE, REFUSED = 0, 3  # argparse ends with 2
LOCAL = "http://127.0.0.1:7000"
NAME = os.environ.get("ROWCAST_COMMAND") or "scripts/top"
PURPOSE = "Show the rows of a running server: who is computed now, and who waits. q ends it."
EPILOG = f"""The token is read from the variable TOKEN or from a file, since other users of a
machine can read command lines.

examples:
  {NAME}
  {NAME} --url http://127.0.0.1:1223 --token-file token
  {NAME} --once | head"""
ANSWER_SECONDS = 3.0


def main(argv: Sequence[str]) -> int:
    options = _options(argv)
    server = JsonServer(
        url=options.url, token=options.token, seconds=ANSWER_SECONDS, agent="rowcast-top"
    )
    try:
        if options.once or not sys.stdout.isatty():
            return _print(server)
        with Terminal(sys.stdin, sys.stdout) as terminal:
            _watch(server, terminal, options.interval)
    except KeyboardInterrupt:
        return DONE
    except (Refused, Unreachable) as problem:
        sys.stderr.write(f"top: {printable(problem)}{_advice(problem)}\n")
        return REFUSED
    return DONE


def _print(server: JsonServer) -> int:
    """Print one screen, with nothing left out."""
    lines = Screen().lines(server.url, report_of(server))
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return DONE


def _watch(server: JsonServer, terminal: Terminal, seconds: float) -> None:
    """Show the rows until a key ends it. Raises Refused if it is useless to try again."""
    report: Report = ()
    problem, due = "", 0.0
    while True:
        if time.monotonic() >= due:
            due = time.monotonic() + seconds
            try:
                report, problem = report_of(server), ""
            except Unreachable as away:
                report, problem = (), f"trying again: {printable(away)}"
            except Refused as refused:
                if refused.status < 500:
                    raise
                report, problem = (), f"trying again: {printable(refused)}"
        size = terminal.size
        screen = Screen(size.columns, size.lines, colour="NO_COLOR" not in os.environ)
        title = f"{server.url}  {time.strftime('%H:%M:%S')}  q ends"
        terminal.show(screen.lines(title, report, problem))
        if terminal.key(max(0.0, due - time.monotonic())) in {"q", "Q"}:
            return


def _advice(problem: Refused | Unreachable) -> str:
    if isinstance(problem, Refused) and problem.status in {401, 403}:
        return " (set TOKEN, or use --token-file)"
    return ""


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description=PURPOSE,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--url", default=os.environ.get("ROWCAST", LOCAL), help=f"server ($ROWCAST, or {LOCAL})")
    add("--token-file", type=Path, metavar="FILE", help="file with a bearer token; or set $TOKEN")
    add("--once", action="store_true", help="print one screen and exit")
    add("--interval", type=float, default=1.0, metavar="S", help="seconds between two screens (1)")
    options = parser.parse_args(argv)
    if not options.url.startswith(("http://", "https://")):
        parser.error(f"--url is {options.url!r}; want http://HOST[:PORT]")
    if not 0.1 <= options.interval <= 3600:
        parser.error(f"--interval is {options.interval}; want 0.1 to 3600")
    options.token = _token(parser, options.token_file)
    return options


def _token(parser: argparse.ArgumentParser, file: Path | None) -> str | None:
    if file is None:
        return os.environ.get("TOKEN")
    try:
        return file.read_text().strip()
    except (OSError, ValueError) as error:
        parser.error(f"--token-file: {error}")
