"""The catalog: a build per model, from the file that MODELS names, or from MODEL alone.

    settings.models ──read_file──▶ Reading: entries and faults ──catalog_of──▶ Catalog

A file is accepted as a whole or not at all: InvalidCatalog has every fault, each with its line.
"""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from rowcast.errors import UnknownModel
from rowcast.models.build import Build
from rowcast.models.file.entry import Entry, EntryReader
from rowcast.models.file.faults import Fault, InvalidCatalog, shortened
from rowcast.models.file.located_json import NotJSON
from rowcast.models.generation import generation_of
from rowcast.models.revision import build_id
from rowcast.settings import Settings

BYTES = 1 << 20  # of the file
_PATHS = {"chat_template": "CHAT_TEMPLATE", "generation_config": "CONFIG_FILE"}


class WrongFile(UnknownModel):
    """A file or folder that an entry names cannot be used. `key`: the key that names it."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


@dataclass(frozen=True, slots=True)
class Catalog:
    """All models of a server."""

    builds: tuple[Build, ...]  # the default model's first
    entries: tuple[Entry, ...] = ()  # of the file, in its order


@dataclass(frozen=True, slots=True)
class Reading:
    """The entries of a file of models, and its faults."""

    entries: tuple[Entry, ...] = ()
    faults: tuple[Fault, ...] = ()


def read_catalog(settings: Settings) -> Catalog:
    """Return the models that the settings name. Raises InvalidCatalog and UnknownModel."""
    if settings.models is not None:
        return catalog_of(read_file(settings.models), settings)
    generation_of(settings)  # raises UnknownModel if it is wrong
    name = settings.served_name
    return Catalog((Build(id=build_id(name, settings), name=name, variables={}, keep=True),))


def read_file(file: Path) -> Reading:
    """Return the entries and faults of a file, whatever it contains."""
    reader = EntryReader()
    try:
        return Reading(reader.read(_text(file)), tuple(reader.faults))
    except OSError as error:
        return Reading(faults=(Fault(0, f"cannot be read: {error.strerror or error}"),))
    except NotJSON as error:
        return Reading(faults=(error.fault,))


def catalog_of(reading: Reading, settings: Settings) -> Catalog:
    """Return the catalog of a file. Raises InvalidCatalog, also if a model is missing."""
    entries, faults = reading.entries, list(reading.faults)
    ordered = sorted(entries, key=lambda each: not each.default)
    builds: list[Build] = []
    for entry in ordered:
        try:
            builds.append(_build(entry, settings, default=entry is ordered[0]))
        except WrongFile as error:
            faults.append(Fault(entry.line_of(error.key), f"{shortened(entry.name)}: {error}"))
    if faults:
        raise InvalidCatalog(str(settings.models), faults)
    return Catalog(tuple(builds), tuple(entries))


def _build(entry: Entry, settings: Settings, *, default: bool) -> Build:
    build = Build(
        id="",
        name=entry.name,
        variables=entry.variables | dict(_found(entry, settings)),
        aliases=entry.aliases,
        load=entry.load or ("start" if default else "lazy"),
        idle_seconds=entry.idle_seconds,
        keep=entry.keep,
        longest_keep_alive=entry.keep_alive_seconds,
    )
    own = build.settings(settings)
    with _attributed("generation_config"):
        generation_of(own)
    with _attributed("model"):
        return structs.replace(build, id=build_id(build.name, own))


@contextmanager
def _attributed(key: str) -> Iterator[None]:
    """Raise errors about a file as WrongFile, with the key that names the file."""
    try:
        yield
    except UnknownModel as error:
        raise WrongFile(key, str(error)) from error
    except OSError as error:
        raise WrongFile(key, f"{error.filename}: {error.strerror or error}") from error


def _found(entry: Entry, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the variables that name files, with the paths of the files that were found."""
    folder = settings.models.parent if settings.models else Path()
    for key, variable in _PATHS.items():
        given = entry.variables.get(variable)
        if given is None or given.startswith("{"):
            continue
        with _attributed(key):
            path = next((each for each in (Path(given), folder / given) if each.is_file()), None)
        if path is None:
            raise WrongFile(key, f'"{key}" is {shortened(given)}, but there is no such file')
        yield variable, str(path)


def _text(file: Path) -> str:
    """Return the file's text. Raises OSError, and NotJSON if it is not a text of this size."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise NotJSON(0, "is not a file; MODELS has to name a JSON file")
    with file.open("rb") as opened:
        text = opened.read(BYTES + 1)
    if len(text) > BYTES:
        raise NotJSON(0, f"has more than {BYTES} bytes; name fewer models")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise NotJSON(line, "is not UTF-8; save it as UTF-8") from error
