"""The entries of a file of models: parsed and checked, each with the lines that it comes from.

In: the file's text. Out: an `Entry` per name, and every fault with its line. Looks at no other
file; `catalog` checks whether a model is where its entry says.
"""

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rowcast.models.build import Load
from rowcast.models.file.faults import SHOWN, Fault, shortened
from rowcast.models.file.keys import KEYS, NAMED, NAMES
from rowcast.models.file.located_json import Field, Node, NotJSON, parse
from rowcast_settings.kinds import Invalid

MOST = 256  # models
SCHEMA = "$schema"
_SYNONYMS = {"path": "model", "id": "model", "name": "aliases", "ttl": "idle_seconds"}
_EXAMPLE = '{"name": "path or hub id"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The entry of one model."""

    name: str
    line: int = field(compare=False)
    lines: dict[str, int] = field(compare=False)  # of its keys
    variables: dict[str, str]  # the server's settings that it overrides, MODEL among them
    aliases: tuple[str, ...] = ()
    default: bool = False
    load: Load | None = None
    idle_seconds: float = 0.0
    keep: bool = False
    keep_alive_seconds: float = 0.0
    draft: str | None = None

    def line_of(self, key: str) -> int:
        return self.lines.get(key, self.line)


class EntryReader:
    """Reads the entries of one text, and collects its `faults`."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._owners: dict[str, Field] = {}  # of names and aliases

    def read(self, text: str) -> tuple[Entry, ...]:
        """Return the entries that have at least a valid name and model."""
        try:
            root = parse(text)
        except NotJSON as error:
            self.faults.append(error.fault)
            return ()
        entries = tuple(self._entries(root))
        self._check_default(entries)
        return entries

    def _entries(self, root: Node) -> Iterator[Entry]:
        if root.fields is None:
            self._fault(root.line, f"the file is not an object; write {_EXAMPLE}")
            return
        for each in root.fields:
            if each.name == SCHEMA and not isinstance(each.value.value, str):
                self._fault(each.line, f'"{SCHEMA}" has to be the address of a schema')
        models = [each for each in root.fields if each.name != SCHEMA]
        if len(models) > MOST:
            self._fault(models[MOST].line, f"{len(models)} models; {MOST} are allowed")
        if not models:
            self._fault(root.line, f"the file names no model; write {_EXAMPLE}")
        for each in models[:MOST]:
            if (entry := self._entry(each)) is not None:
                yield entry

    def _entry(self, at: Field) -> Entry | None:
        name = shortened(at.name)
        try:
            NAMES.checked(at.name)
        except Invalid:
            self._fault(at.line, f"{name} cannot be a name; use letters, digits and . _ - /")
            return None
        self._claim(at.name, at, at.line)
        fields = at.value.fields
        if fields is None:
            if not isinstance(at.value.value, str):
                problem = 'has to be a path, a hub id, or an object with "model"'
                self._fault(at.value.line, f"{name} {problem}")
                return None
            fields = (Field("model", at.line, at.value),)
        values = self._values(name, fields)
        if "model" not in {each.name for each in fields}:
            self._fault(at.line, f'{name} has no "model"; add its path or hub id')
        for alias in values.get("aliases", ()):
            line = next(each.value.line for each in fields if each.name == "aliases")
            self._claim(alias, at, line)
        return _entry_of(at, fields, values) if "model" in values else None

    def _values(self, name: str, fields: Iterable[Field]) -> dict[str, Any]:
        """Return the values of the valid keys."""
        values: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for each in fields:
            key = shortened(each.name)
            if each.name in seen:
                self._fault(each.line, f"{key} is in {name} twice; see line {seen[each.name]}")
            elif each.name not in NAMED:
                hint = _hint(each.name) if len(self.faults) < SHOWN else ""
                self._fault(each.line, f"{key} in {name} is not a key of a model{hint}")
            else:
                try:
                    values[each.name] = _checked(each)
                except Invalid as error:
                    self._fault(each.value.line, f"{key} in {name}: {error}")
            seen.setdefault(each.name, each.line)
        return values

    def _claim(self, name: str, owner: Field, line: int) -> None:
        """Reserve a name for a model; report it if it already means another."""
        if name in self._owners:
            first = self._owners[name]
            model = f"the model {shortened(first.name)} of line {first.line}"
            self._fault(line, f"{shortened(name)} already means {model}; choose another name")
        self._owners.setdefault(name, owner)

    def _check_default(self, entries: tuple[Entry, ...]) -> None:
        chosen = [entry for entry in entries if entry.default]
        for entry in chosen[1:]:
            names = f"{shortened(chosen[0].name)} and {shortened(entry.name)}"
            self._fault(entry.line_of("default"), f'{names} are "default"; only one can be')

    def _fault(self, line: int, problem: str) -> None:
        self.faults.append(Fault(line, problem))


def _checked(at: Field) -> Any:
    """Return a key's value. Raises Invalid, with what is wrong."""
    value = at.value.plain
    if value is None:
        raise Invalid("null is not a value; leave the key out")
    if not all(text.isprintable() for text in _texts(at.value)):
        raise Invalid("has characters that cannot be printed; remove them")
    try:
        return NAMED[at.name].kind.checked(value, strict=True)
    except Invalid as error:
        raise Invalid(f"{error}; it is {shortened(json.dumps(value))[1:-1]}") from error


def _texts(node: Node) -> Iterator[str]:
    """Yield all strings in a value."""
    if isinstance(node.value, str):
        yield node.value
    for each in node.items or ():
        yield from _texts(each)
    for field_ in node.fields or ():
        yield field_.name
        yield from _texts(field_.value)


def _hint(name: str) -> str:
    word = _SYNONYMS.get(name.lower(), name.lower())
    close = [word] if word in NAMED else difflib.get_close_matches(word, NAMED, 1)
    return f'; did you mean "{close[0]}"?' if close else f"; known: {', '.join(NAMED)}"


def _entry_of(at: Field, fields: Iterable[Field], values: dict[str, Any]) -> Entry:
    own = {key.name for key in KEYS if not key.setting}
    settings = {
        NAMED[name].setting: _variable(value) for name, value in values.items() if name not in own
    }
    aliases = tuple(values.get("aliases", ()))
    rest = {name: value for name, value in values.items() if name in own - {"aliases"}}
    return Entry(
        name=at.name,
        line=at.line,
        lines={each.name: each.line for each in reversed(tuple(fields))},
        variables={"MODEL_NAME": at.name} | settings,
        aliases=aliases,
        **rest,
    )


def _variable(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return str(int(value)) if isinstance(value, bool) else str(value)
