"""The catalog: a build per model, from the file that MODELS names, or from MODEL alone.

    settings.models ──read──▶ text ──EntryReader──▶ entries ──builds_of──▶ Catalog

A file is taken whole or not at all: InvalidCatalog has every fault, each with its line.
"""

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from rowcast.errors import UnknownModel
from rowcast.models.build import Build
from rowcast.models.entry import Entry, EntryReader
from rowcast.models.faults import Fault, InvalidCatalog, shortened
from rowcast.models.revision import build_id
from rowcast.settings import Settings

BYTES = 1 << 20  # of the file
_PATHS = {"chat_template": "CHAT_TEMPLATE", "generation_config": "CONFIG_FILE"}


class MissingFile(UnknownModel):
    """A file that an entry names beside its model; `key` is what names it."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


@dataclass(frozen=True, slots=True)
class Catalog:
    """All models of a server."""

    builds: tuple[Build, ...]  # the default model's first
    entries: tuple[Entry, ...] = ()  # of the file, in its order

    @property
    def default(self) -> Build:
        return self.builds[0]


def read_catalog(settings: Settings) -> Catalog:
    """Return the models that the settings name. Raises InvalidCatalog and UnknownModel."""
    if settings.models is None:
        name = settings.served_name
        return Catalog((Build(id=build_id(name, settings), name=name, variables={}, keep=True),))
    return catalog_of(read_entries(settings.models), settings)


def read_entries(file: Path) -> tuple[Entry, ...]:
    """Return the entries of a file of models. Raises InvalidCatalog."""
    reader = EntryReader()
    try:
        entries = reader.read(_text(file))
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise InvalidCatalog(str(file), [Fault(0, problem)]) from error
    if reader.faults:
        raise InvalidCatalog(str(file), reader.faults)
    return entries


def catalog_of(entries: Sequence[Entry], settings: Settings) -> Catalog:
    """Return the catalog of a file's entries. Raises InvalidCatalog for models that are missing."""
    chosen = next((each for each in entries if each.default), entries[0])
    ordered = [chosen, *(each for each in entries if each is not chosen)]
    faults: list[Fault] = []
    builds: list[Build] = []
    for entry in ordered:
        try:
            builds.append(_build(entry, settings, default=entry is chosen))
        except (UnknownModel, OSError) as error:
            line = entry.line_of(error.key if isinstance(error, MissingFile) else "model")
            faults.append(Fault(line, f"{shortened(entry.name)}: {error}"))
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
    return structs.replace(build, id=build_id(build.name, build.settings(settings)))


def _found(entry: Entry, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the variables that name files, with the paths at which these are."""
    folder = settings.models.parent if settings.models else Path()
    for key, variable in _PATHS.items():
        given = entry.variables.get(variable)
        if given is None or given.startswith("{"):
            continue
        path = next((each for each in (Path(given), folder / given) if each.is_file()), None)
        if path is None:
            raise MissingFile(key, f'"{key}" is {shortened(given)}, which is no file')
        yield variable, str(path)


def _text(file: Path) -> str:
    """Return the file's text. Raises OSError and InvalidCatalog."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise InvalidCatalog(str(file), [Fault(0, "is not a file; MODELS has to name a JSON file")])
    with file.open("rb") as opened:
        text = opened.read(BYTES + 1)
    if len(text) > BYTES:
        raise InvalidCatalog(
            str(file), [Fault(0, f"has more than {BYTES} bytes; name fewer models")]
        )
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise InvalidCatalog(str(file), [Fault(line, "is not UTF-8; save it as UTF-8")]) from error
