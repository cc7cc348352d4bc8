"""From the command line to an exit status: the table, circles, a walk, docstrings. Only it prints.

Exit: 0; 1 if modules import each other in a circle; 2 if the command is invalid.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from commands.house.circles import circles
from commands.house.counts import HEAD, LEGEND, count
from commands.house.docstrings import counterpart, docstrings, drawn, shown
from commands.house.source import Source, read
from commands.house.walk import Walk, find, walk

TOP = Path(__file__).resolve().parents[3]
FOLDERS = ("inference-api", "proxy")
START = "api.openai.chat:chat"
PURPOSE = """Counts the code of this repository, or of another checkout: a table of sizes, import
circles, the walk of a request through the modules, docstrings drawn by lot. Only reads files."""
EPILOG = f"""examples:
  scripts/house                                  table and circles
  scripts/house scripts tests --at ../old        other folders of another checkout
  scripts/house --walk                           follow {START}
  scripts/house --walk backend.decode_backend:DecodeBackend.step --stays
  scripts/house --docstrings 80 --seed 7 --at ../old   with the texts before"""


def main(argv: Sequence[str]) -> int:
    """Print what the command asks for."""
    options = _parser().parse_args(argv)
    folders = tuple(options.folders or FOLDERS)
    top: Path = TOP if options.docstrings else options.at
    missing = [each for each in folders for one in {top, options.at} if not (one / each).is_dir()]
    if missing:
        return _refuse(f"no such folder: {', '.join(missing)}")
    source = read(top, folders)
    if options.docstrings:
        return _print_docstrings(source, options, folders)
    if options.walk:
        return _print_walk(source, options)
    return _print_table(source, folders)


def _print_table(source: Source, folders: Sequence[str]) -> int:
    print("\n".join((*HEAD, count(source).row(", ".join(folders)))))
    print(f"\n{LEGEND}")
    found = circles(source)
    print(f"\nimport circles: {len(found)}")
    for group in found:
        print(f"  {', '.join(group)}")
    return int(bool(found))


def _print_walk(source: Source, options: argparse.Namespace) -> int:
    try:
        start = find(source, options.walk)
    except LookupError as error:
        return _refuse(str(error))
    done = walk(source, start, options.depth)
    print(f"{start.module.name}:{start.qualified}")
    print(_summary(done))
    for stay in done.stays if options.stays else ():
        print(f"  {stay.module}: {', '.join(stay.functions)}")
    return 0


def _summary(done: Walk) -> str:
    returns = ", ".join(f"{module} {times}" for module, times in done.returns.most_common())
    return f"{len(done.stays)} stays in {done.modules} modules, {done.returns.total()} returns" + (
        f": {returns}" if returns else ""
    )


def _print_docstrings(source: Source, options: argparse.Namespace, folders: tuple[str, ...]) -> int:
    old: Path | None = options.at if options.at != TOP else None
    others = docstrings(read(old, folders)) if old else []
    print(f"seed {options.seed}")
    for one in drawn(source, options.docstrings, options.seed):
        print(f"\n{shown(one, TOP, counterpart(one, others), old)}")
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"house: {sentence}\n")
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/house",
        description=PURPOSE,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("folders", nargs="*", metavar="FOLDER", help=f"source roots ({', '.join(FOLDERS)})")
    add(
        "--at",
        type=lambda text: Path(text).resolve(),
        default=TOP,
        metavar="PATH",
        help="count this checkout; with --docstrings, show its texts as those before",
    )
    add(
        "--walk",
        nargs="?",
        const=START,
        metavar="MODULE:FUNCTION",
        help=f"follow a function through its calls ({START})",
    )
    add("--depth", type=int, metavar="N", help="with --walk: at most N calls deep")
    add("--stays", action="store_true", help="with --walk: print each stay")
    add("--docstrings", type=int, default=0, metavar="N", help="draw N docstrings by lot")
    add("--seed", type=int, default=1, metavar="N", help="seed of the lot (1)")
    return parser
