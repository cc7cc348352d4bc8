"""`python -m rowcast.models [FILE]`: check a file of models, and print what it would serve.

Without FILE, it checks the file that MODELS names, or MODEL alone. It prints a line per model: its
name, where it comes from, when it is loaded, and the size of its weights on this disk. If the file
cannot be served, it prints a line for each fault, and the exit status is 2.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rowcast.errors import RowcastError
from rowcast.model_files import WEIGHTS
from rowcast.models.build import Build
from rowcast.models.catalog import read_catalog
from rowcast.models.revision import model_folder
from rowcast.settings import Settings, read_settings

WRONG = 2  # exit status
HEAD = ("name", "from", "load", "weights")


def main(arguments: Sequence[str]) -> int:
    """Print the models; return an exit status."""
    if len(arguments) > 1 or any(each.startswith("-") for each in arguments):
        sys.stderr.write(f"{(__doc__ or '').strip()}\n")
        return 0 if {"-h", "--help"} & set(arguments) else WRONG
    named: dict[str, Any] = {"models": Path(arguments[0])} if arguments else {}
    settings = read_settings(**named)
    try:
        rows = [HEAD, *(row(build, settings) for build in read_catalog(settings).builds)]
    except RowcastError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG
    sys.stdout.writelines(_table(rows))
    return 0


def row(build: Build, server: Settings) -> tuple[str, ...]:
    """Return a model's cells."""
    settings = build.settings(server)
    folder = model_folder(settings)
    origin = settings.served_model if folder is None else str(folder)
    return build.name, origin, build.load, weights(folder)


def weights(folder: Path | None) -> str:
    """Return the size of the weights in a folder; `-` if it is not here."""
    if folder is None:
        return "-"
    return sized(sum(file.stat().st_size for file in folder.glob(WEIGHTS)))


def sized(size: float) -> str:
    """Return a number of bytes in a suitable unit."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield f"{line.rstrip()}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
