"""A build's id: a digest of what its processes are started with, and of its model's files.

Equal ids mean: the same settings, and files of the same names, sizes and times in the same real
folder. No file is read. A model of a hub is identified by its id alone, since it is fetched later.
"""

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from rowcast.errors import UnknownModel
from rowcast.model_files import WEIGHTS, WORDS, files_of
from rowcast.models.file.keys import KEYS
from rowcast.settings import ONE_LAYER, SCRIPTED, Settings

DIGITS = 12
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SUFFIXES = tuple(pattern.removeprefix("*") for pattern in (*WORDS, WEIGHTS))
_OWN = tuple(key.setting.lower() for key in KEYS if key.setting not in ("", "MODEL"))
_SETTINGS = ("served_model", *_OWN)  # those that an entry can have


def build_id(name: str, settings: Settings) -> str:
    """Return the id of a name's build. Raises UnknownModel if the model is not there."""
    chosen = [getattr(settings, each) for each in _SETTINGS]
    whole = json.dumps([name, chosen, list(_files(settings))])
    return sha256(whole.encode()).hexdigest()[:DIGITS]


def model_folder(settings: Settings) -> Path | None:
    """Return the folder of the model's files; None if it has none here. Raises UnknownModel."""
    if settings.served_model in (SCRIPTED, ONE_LAYER):
        return None
    files = files_of(settings)
    if files.place is None and not _HUB_ID.fullmatch(files.model):
        raise UnknownModel(f"MODEL {files.model!r} is neither a folder here nor a hub id")
    return files.place


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
