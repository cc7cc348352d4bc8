"""Fields of a table of settings, and the values of such a table.

    class Mine(BaseSettings):
        port = setting(Whole(1, 65535), 7000, "Port to listen on.")

    Mine(port="80").port        80; raises InvalidSettings with all faults together
    Mine.fields["port"]         the field itself
    Mine(port="80").chosen      the names that were given

A field's variable is its name in capitals, or an alias.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Never, NoReturn, Self, TypeVar, overload

from rowcast_settings.kinds import Invalid, Kind

T = TypeVar("T")


class InvalidSettings(Exception):
    """Values are missing or wrong. `faults`: one line for each, which begins with a variable."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Field(Generic[T]):
    """A setting; on an instance of the table, its value."""

    def __init__(
        self,
        kind: Kind[Any],
        default: T,
        description: str,
        aliases: tuple[str, ...] = (),
        remedy: str = "",  # of a required setting that is missing
    ) -> None:
        self.kind = kind
        self.default = default
        self.description = description
        self.aliases = aliases
        self.remedy = remedy
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, settings: None, owner: type) -> Self: ...
    @overload
    def __get__(self, settings: "BaseSettings", owner: type) -> T: ...
    def __get__(self, settings: "BaseSettings | None", owner: type) -> Self | T:
        return self if settings is None else self.default  # values hide this: they are in __dict__

    if TYPE_CHECKING:  # at run time, it would hide the values in __dict__

        def __set__(self, settings: "BaseSettings", value: Never) -> None: ...

    @property
    def variables(self) -> tuple[str, ...]:
        return (self.name.upper(), *self.aliases)

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple("--" + name.lower().replace("_", "-") for name in self.variables)

    def checked(self, value: object) -> T:
        """Return the value that a text or a value means. Raises Invalid."""
        if value is None and self.default is None and not self.remedy:
            return self.default
        meant: T = self.kind.checked(value)
        return meant


def setting(kind: Kind[T], default: T, description: str, *aliases: str) -> Field[T]:
    return Field(kind, default, description, aliases)


def optional(kind: Kind[T], description: str, *aliases: str) -> Field[T | None]:
    """Return a setting that is None by default."""
    return Field(kind, None, description, aliases)


def required(kind: Kind[T], description: str, remedy: str) -> Field[T]:
    """Return a setting without a default; if it is missing, `remedy` says what to do."""
    field: Field[Any] = Field(kind, None, description, (), remedy)
    return field


class BaseSettings:
    """The values of a subclass's fields. They cannot be changed."""

    fields: ClassVar[Mapping[str, Field[Any]]] = {}
    chosen: frozenset[str]

    def __init_subclass__(cls) -> None:
        cls.fields = {name: each for name, each in vars(cls).items() if isinstance(each, Field)}

    def __init__(self, **given: object) -> None:
        """Check the given values; the others have their defaults. Raises InvalidSettings."""
        if unknown := given.keys() - self.fields.keys():
            raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
        values: dict[str, Any] = {}
        if faults := list(_take(self.fields, given, values)):
            raise InvalidSettings(faults)
        self.__dict__.update(values, chosen=frozenset(given))

    def replaced(self, **values: Any) -> Self:
        """Return a copy with other values, which are not checked."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__ | values, chosen=self.chosen | values.keys())
        return copy

    def values(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in self.fields}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name} cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.values() == other.values()

    def __hash__(self) -> int:
        return hash(tuple(self.values().values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.values().items())
        return f"{type(self).__name__}({shown})"


def _take(
    fields: Mapping[str, Field[Any]], given: Mapping[str, object], values: dict[str, Any]
) -> Iterator[str]:
    """Fill `values`, and yield what is wrong."""
    for name, field in fields.items():
        if name not in given and field.remedy:
            yield f"{name.upper()} is not set. {field.remedy}"
            continue
        try:
            values[name] = field.checked(given[name]) if name in given else field.default
        except Invalid as error:
            yield f"{name.upper()}: {error}"


def from_variables(
    fields: Mapping[str, Field[Any]], variables: Mapping[str, str]
) -> dict[str, str]:
    """Return the texts of the fields whose variables are set and not empty, in any case."""
    texts = {name.upper(): text for name, text in variables.items() if text}
    found = {}
    for name, field in fields.items():
        if text := next((texts[each] for each in field.variables if each in texts), ""):
            found[name] = text
    return found
