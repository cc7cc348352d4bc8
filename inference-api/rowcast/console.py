"""The command `rowcast`, which `pip install` puts on the path: `rowcast COMMAND …`.

    rowcast bench --url U ──▶ exec python TREE/scripts/bench --url U

A command is one line of COMMANDS: its name, a sentence, and its program. The program replaces this
process, so signals, exit statuses and `--help` are its own; its help shows the name in
ROWCAST_COMMAND. Imports none of the programs.
"""

import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from rowcast import __version__
from rowcast.tree import tree

USAGE_ERROR = 2  # exit status of an invalid call
COMMAND_VARIABLE = "ROWCAST_COMMAND"  # the name that a program shows in its help


@dataclass(frozen=True, slots=True)
class Command:
    """A command, its program, and the packages that the program needs."""

    name: str
    purpose: str
    program: str  # a file below the tree if it has a slash, otherwise a module
    needs: tuple[str, ...] = ()  # packages that a plain `pip install` does not install

    @property
    def words(self) -> tuple[str, ...]:
        """Arguments for Python that run it. Modules in the working directory are not found."""
        if "/" in self.program:
            return (str(tree() / self.program),)
        return ("-P", "-m", self.program)

    def missing(self) -> list[str]:
        """Return the packages that have to be installed first."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


COMMANDS = (
    Command("serve", "start server and proxy, and print a curl command to try", "scripts/serve"),
    Command("server", "run only the server, which needs no access token", "inference_api_server"),
    Command("worker", "run only a backend; a server connects by BACKEND_SOCKET", "decode_backend"),
    Command("proxy", "run only the proxy, in front of a server", "proxy/proxy.py"),
    Command("batch", "compute a file of requests, without a server", "rowcast.offline.batch"),
    Command("token", "create or decode an access token for the proxy", "scripts/jwt_util.py"),
    Command("models", "list, load and unload the models of a server", "scripts/models"),
    Command("top", "show the rows of a running server in a terminal", "scripts/top"),
    Command("convert", "pack a model into 8 bits", "rowcast.engine.loading.convert", ("torch",)),
    Command("settings", "list all settings of the server", "rowcast.settings"),
    Command("bench", "measure a running server", "scripts/bench"),
    Command("bench-peers", "measure Rowcast and other servers", "scripts/bench_peers"),
    Command("replay", "compute a reply again from its receipt and compare", "scripts/replay"),
    Command(
        "chaos", "kill and disturb servers, and check every byte", "scripts/chaos", ("psutil",)
    ),
    Command("abuse", "search for requests that harm others", "scripts/abuse", ("psutil",)),
)

_HELP = """usage: rowcast COMMAND [ARGUMENT ...]

{commands}

`rowcast COMMAND --help` shows the help of a command, `rowcast --version` the
version. Settings are environment variables, for example PORT=7001 or MODEL.

Logs and the journal go to $XDG_STATE_HOME/rowcast (~/.local/state/rowcast),
compiled kernels and packed models to $XDG_CACHE_HOME/rowcast (~/.cache/rowcast)
"""


def main() -> NoReturn:
    """Become the command named on the command line."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Become the command; return an exit status only if there is no program to run."""
    name, *rest = arguments or ("--help",)
    if name in {"-h", "--help", "help"}:
        return _print(help_page())
    if name in {"-V", "--version"}:
        return _print(f"rowcast {__version__}\n")
    command = {each.name: each for each in COMMANDS}.get(name)
    if command is None:
        return _refuse(f"unknown command {name!r}{_nearest(name)}; see `rowcast --help`")
    if missing := command.missing():
        names = " ".join(missing)
        return _refuse(f"{name} needs {names}, which is not installed: pip install {names}")
    return _become(command, rest)


def help_page() -> str:
    """Return what `rowcast --help` prints."""
    return _HELP.format(commands="\n".join(f"  {each.name:12} {each.purpose}" for each in COMMANDS))


def _become(command: Command, arguments: Sequence[str]) -> NoReturn:
    os.environ[COMMAND_VARIABLE] = f"rowcast {command.name}"
    os.execv(sys.executable, [sys.executable, *command.words, *arguments])  # noqa: S606  # no shell


def _nearest(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only for a mistake

    near = get_close_matches(name, [each.name for each in COMMANDS], n=1)
    return f"; did you mean `rowcast {near[0]}`?" if near else ""


def _print(text: str) -> int:
    sys.stdout.write(text)
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"rowcast: {sentence}\n")
    return USAGE_ERROR
