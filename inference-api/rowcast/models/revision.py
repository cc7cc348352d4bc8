"""A build's id: a digest of what its processes are started with, and of its model's files.

Equal ids mean: the same settings, and files of the same names, sizes and times in the same real
folder. No file is read. A model of a hub is identified by its id alone, since it is fetched later.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from rowcast.model_files import WEIGHTS, WORDS, files_of
from rowcast.settings import ONE_LAYER, SCRIPTED, Settings

DIGITS = 12
_SUFFIXES = tuple(pattern.removeprefix("*") for pattern in (*WORDS, WEIGHTS))
_SETTINGS = (
    "served_model",
    "dtype",
    "device",
    "context_length",
    "no_weights",
    "two_layers",
    "save_image",
    "load_image",
    "image_suffix",
    "step_seconds",
    "waiting_line",
    "chat_template",
    "config_file",
    "max_new_tokens",
    "num_return_sequences",
    "streaming_chunks",
    "warm_rows",
    "warm_tokens",
)


def build_id(name: str, settings: Settings) -> str:
    """Return the id of a name's build. Raises UnknownModel if the model is not there."""
    chosen = [getattr(settings, each) for each in _SETTINGS]
    whole = json.dumps([name, chosen, list(_files(settings))])
    return sha256(whole.encode()).hexdigest()[:DIGITS]


def model_folder(settings: Settings) -> Path | None:
    """Return the folder of the model's files; None if it has none here. Raises UnknownModel."""
    if settings.served_model in (SCRIPTED, ONE_LAYER):
        return None
    return files_of(settings).place


def _files(settings: Settings) -> Iterator[tuple[str, int, int]]:
    """Yield real path, size and time of each file that the build is made from."""
    folder = model_folder(settings)
    if folder is not None:
        yield from _in(folder)
    for path in (settings.chat_template, settings.config_file):
        if path is not None and not path.startswith("{"):
            yield _file(Path(path))


def _in(folder: Path) -> Iterator[tuple[str, int, int]]:
    real = folder.resolve()
    yield str(real), 0, 0
    yield from (_file(path) for path in sorted(real.iterdir()) if path.name.endswith(_SUFFIXES))


def _file(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), -1, 0
    return str(path), found.st_size, found.st_mtime_ns
