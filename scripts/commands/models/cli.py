"""The command line of `scripts/models`, its output and its exit status.

In: argv, and the variables ROWCAST and TOKEN. Out: a line per model, or the server's JSON. Status:
0 done, 1 failed or not done in time, 2 an invalid command or file, 3 the server refuses or does not
answer.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from commands.models.by_hand import ByHand
from commands.models.columns import duration, lines_of, sized
from commands.models.listed import Model, models_of
from http_client.json_server import JsonServer, Refused, Unreachable

DONE, NOT_DONE, INVALID, REFUSED = range(4)
LOCAL = "http://127.0.0.1:7000"
NAME = os.environ.get("ROWCAST_COMMAND") or "scripts/models"
SOURCE = Path(__file__).resolve().parents[3] / "inference-api"  # in the source tree
OBJECTS = {"load": "NAME", "unload": "NAME", "check": "FILE"}
USAGE = f"{NAME} [list | load NAME | unload NAME | check FILE] [options]"
PURPOSE = "List, load and unload the models of a running server; check a file of models."
EPILOG = f"""exit status: 0 done, 1 not ready (or not unloaded) within the time, 2 an
             invalid command or file, 3 the server refuses or does not answer

examples:
  {NAME}
  {NAME} load big --url http://127.0.0.1:1223 --token "$ADMIN_TOKEN"
  {NAME} check config/model_config.json"""


def main(argv: Sequence[str]) -> int:
    options = _options(argv)
    if options.action == "check":
        check(options.object)
    server = JsonServer(
        url=options.url, token=options.token, seconds=options.timeout, agent="rowcast-models"
    )
    try:
        return _list(server, options) if options.action == "list" else _by_hand(server, options)
    except (Refused, Unreachable) as problem:
        sys.stderr.write(f"models: {problem}\n")
        return REFUSED


def check(file: str) -> NoReturn:
    """Become the program that checks a file of models."""
    if SOURCE.is_dir():
        os.environ["PYTHONPATH"] = f"{SOURCE}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
    os.execv(sys.executable, [sys.executable, "-P", "-m", "rowcast.models", file])  # noqa: S606


def outcome(model: Model, wanted: str) -> str:
    """Return the state of a model in words. `wanted`: its intended state, ready or unloaded."""
    if model.state == "failed":
        return f"{model.name} failed: {model.reason}"
    if model.state == "ready" and wanted == "ready":
        return f"{model.name} is ready: {_costs(model)}"
    stage = f": {model.stage}" if model.stage else ""
    return f"{model.name} is {model.state}{stage}"


def _costs(model: Model) -> str:
    size = model.number("bytes")
    taken = f"{sized(size)}, " if size else ""
    return f"{taken}loaded in {duration(model.number('load_seconds'))}"


def _list(server: JsonServer, options: argparse.Namespace) -> int:
    models = models_of(server)
    if options.json:
        _print(json.dumps([each.fields for each in models], indent=2, ensure_ascii=False))
    else:
        _print(*lines_of(models))
    return DONE


def _by_hand(server: JsonServer, options: argparse.Namespace) -> int:
    hand = ByHand(server, 0 if options.no_wait else options.timeout, _progress)
    load = options.action == "load"
    model = (hand.load if load else hand.unload)(options.object)
    wanted = "ready" if load else "unloaded"
    if options.json:
        _print(json.dumps(model.fields, indent=2, ensure_ascii=False))
    else:
        _print(outcome(model, wanted))
    return DONE if options.no_wait or model.state == wanted else NOT_DONE


def _print(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _progress(stage: str) -> None:
    sys.stderr.write(f"{stage}\n")


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage=USAGE,
        description=PURPOSE,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("action", nargs="?", default="list", choices=("list", *OBJECTS), help=argparse.SUPPRESS)
    add("object", nargs="?", help=argparse.SUPPRESS)
    add("--url", default=os.environ.get("ROWCAST", LOCAL), help=f"server ($ROWCAST, or {LOCAL})")
    add("--token", default=os.environ.get("TOKEN"), help="bearer token ($TOKEN)")
    add("--timeout", type=float, default=300.0, metavar="S", help="seconds to wait (300)")
    add("--no-wait", action="store_true", help="do not wait until it is loaded or unloaded")
    add("--json", action="store_true", help="print the server's JSON")
    options = parser.parse_intermixed_args(argv)
    missing = OBJECTS.get(options.action)
    if bool(missing) != (options.object is not None):
        parser.error(f"{options.action} takes {missing or 'no name'}")
    if not options.url.startswith(("http://", "https://")):
        parser.error(f"--url is {options.url!r}; want http://HOST[:PORT]")
    return options
