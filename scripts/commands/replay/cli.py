"""What the user of `scripts/replay` reads, and the exit status.

In: argv, a file, and the variables ROWCAST and TOKEN. Out: one line per reply; with `--text` these
lines go to standard error, so that the text stands alone. Status: 0 all equal, 1 one differs, 2 an
invalid call or receipt, 3 another build serves, 4 the server computed nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from commands.replay.receipt import NoReceipt, Receipt, Reply, find
from commands.replay.server import OtherBuild, Replayed, replay
from commands.replay.verdict import verdict
from http_client.json_server import JsonServer, Refused, Unreachable

EQUAL, DIFFERS, INVALID, OTHER_BUILD, REFUSED = range(5)
LOCAL = "http://127.0.0.1:7000"
NAME = os.environ.get("ROWCAST_COMMAND") or "scripts/replay"
USAGE = f"{NAME} RECEIPT [options]"
PURPOSE = "Recompute a reply on a server, and report whether it is the same."
EPILOG = f"""exit status: 0 equal, 1 differs, 2 no receipt or an invalid command,
             3 another build serves, 4 the server did not compute it

examples:
  curl -s $ROWCAST/chat/falcon40b -d '{{"text": "Hi", "receipt": true}}' | {NAME} -
  {NAME} answer.json --url http://127.0.0.1:1223 --token "$TOKEN"
  {NAME} answer.json --text | diff - reply.txt"""


def main(argv: Sequence[str]) -> int:
    parser = _parser()
    options = parser.parse_args(argv)
    if not options.url.startswith(("http://", "https://")):
        parser.error(f"--url is {options.url!r}; want http://HOST[:PORT]")
    try:
        receipt = find(_read(options.receipt))
        server = JsonServer(
            url=options.url,
            token=options.token,
            seconds=options.timeout,
            agent="rowcast-replay",
        )
        replayed = replay(server, receipt, any_build=options.any_build)
    except NoReceipt as problem:
        return _fail(INVALID, f"{options.receipt}: {problem}")
    except OtherBuild as problem:
        return _fail(OTHER_BUILD, f"{problem}; --any-build compares them anyway")
    except (Refused, Unreachable) as problem:
        return _fail(REFUSED, str(problem))
    if options.text:
        _print_texts(replayed.texts)
    return _print_verdicts(receipt, replayed, sys.stderr if options.text else sys.stdout)


def _print_verdicts(receipt: Receipt, replayed: Replayed, out: TextIO) -> int:
    """Print the verdict on each reply."""
    if receipt.build != replayed.receipt.build:
        out.write(f"another build: {receipt.build} then, {replayed.receipt.build} now\n")
    pairs = list(zip(receipt.replies, replayed.receipt.replies, strict=True))
    differences = [verdict(then, now) for then, now in pairs]
    for (then, _), where in zip(pairs, differences, strict=True):
        name = _name(then) if len(pairs) > 1 else ""
        out.write(f"{name}differs: {where}\n" if where else f"{name}equal: {_equal(then)}\n")
    return DIFFERS if any(differences) else EQUAL


def _print_texts(texts: Sequence[str]) -> None:
    """Print one text as it is; several, each with its own line end."""
    text = texts[0] if len(texts) == 1 else "".join(f"{text}\n" for text in texts)
    sys.stdout.buffer.write(text.encode())
    sys.stdout.flush()


def _name(reply: Reply) -> str:
    return f"prompt {reply.prompt}, choice {reply.choice}: "


def _equal(reply: Reply) -> str:
    count = "1 token" if reply.tokens == 1 else f"{reply.tokens} tokens"
    return f"{count}, ended with {reply.finish_reason}"


def _read(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise NoReceipt(error.strerror or str(error)) from None
    return raw.decode(errors="replace")


def _fail(status: int, problem: str) -> int:
    sys.stderr.write(f"replay: {problem}\n")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        usage=USAGE,
        description=PURPOSE,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("receipt", metavar="RECEIPT", help="a file with a receipt, or an answer with one; -: stdin")
    add("--url", default=os.environ.get("ROWCAST", LOCAL), help=f"server ($ROWCAST, or {LOCAL})")
    add("--token", default=os.environ.get("TOKEN"), help="bearer token ($TOKEN)")
    add("--timeout", type=float, default=600.0, metavar="S", help="seconds to wait (600)")
    add("--any-build", action="store_true", help="compare even if another build serves")
    add("--text", action="store_true", help="print the computed text; the verdict on stderr")
    return parser
