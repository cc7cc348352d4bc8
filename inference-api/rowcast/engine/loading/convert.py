"""`rowcast convert MODEL`: pack a model's weights into one file that servers map.

    rowcast convert storyteller --dtype int8 --root /models ──▶ /models/tti_cache/storyteller.image

It does what SAVE_IMAGE does at the start of a server, without a server: in 8, 16 or 32 bits, from
the model's folder or from a hub. It prints the command that serves the file; with LOAD_IMAGE, the
raw weights are no longer needed.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rowcast.errors import RowcastError
from rowcast.settings import SCRIPTED, Settings, read_settings

NAME = os.environ.get("ROWCAST_COMMAND") or "python -m rowcast.engine.loading.convert"
PRECISIONS = ("int8", "bfloat16", "float32")
PURPOSE = "Packs a model's weights into one file, so that a server need not convert them."


def main(arguments: Sequence[str]) -> int:
    """Convert; return an exit status."""
    options = _parsed(arguments)
    given = {
        "model": options.model,
        "dtype": options.dtype,
        "image_suffix": options.suffix,
        "device": "cpu",
        "save_image": True,
        "load_image": False,
    }
    root = {"model_root": options.root.absolute()} if options.root else {}
    settings = read_settings(**{**given, **root})
    try:
        sys.stdout.write(_report(settings, _convert(settings)))
    except (RowcastError, OSError) as error:
        sys.stderr.write(f"{NAME}: {error}\n")
        return 1
    return 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(NAME, description=PURPOSE, allow_abbrev=False)
    parser.add_argument("model", metavar="MODEL", help="a folder, a hub id, or a model in the box")
    parser.add_argument(
        "--dtype",
        choices=PRECISIONS,
        default=os.environ.get("DTYPE") or "int8",
        help="type of the weights; DTYPE, or else int8",
    )
    parser.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="MODEL_ROOT: the file is written to tti_cache below it",
    )
    parser.add_argument(
        "--suffix", default="", metavar="NAME", help="IMAGE_SUFFIX: part of its name"
    )
    return parser.parse_args(arguments)


def _convert(settings: Settings) -> Path:
    if settings.served_model == SCRIPTED:
        raise RowcastError("the scripted model has no weights; name another MODEL")
    if settings.model_root is None:
        raise RowcastError("give --root, or set MODEL_ROOT: the file is written below it")
    # Imported here: help and mistakes need no torch.
    from rowcast.engine.loading.engine_factory import save_image  # noqa: PLC0415

    return save_image(settings)


def _report(settings: Settings, image: Path) -> str:
    """Return what was written, and how it is served."""
    variables = {
        "MODEL": settings.model,
        "DTYPE": settings.dtype,
        "MODEL_ROOT": str(settings.model_root),
        **({"IMAGE_SUFFIX": settings.image_suffix} if settings.image_suffix else {}),
        "LOAD_IMAGE": "1",
    }
    given = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    size = image.stat().st_size / (1 << 20)
    server = "rowcast server" if "ROWCAST_COMMAND" in os.environ else "make run-app"
    return f"{image}: {size:.0f} MiB\nServe it:\n{given} {server}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
