"""Sampling parameters described as values, and how a struct's annotations become a table of them.

    SamplingParams ──table_of──▶ PARAMETERS ──▶ bodies, receipts, documents, the backend's checks

A `Parameter` states type, default and bounds, the name in each dialect, and the meaning in one
sentence. Each form of the parameters is made from the table; `with_fields` adds them to a struct.
Knows no parameter by name.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import NODEFAULT, Meta, Struct, structs

MOST = 2**31 - 1  # of counts, and of token ids; a model's vocabulary is checked elsewhere

Tokens = tuple[int, ...]
Biases = tuple[tuple[int, float], ...]  # tokens, and what is added to their logits

_Kind = TypeVar("_Kind", bound=Struct)


@dataclass(frozen=True, slots=True)
class Native:
    """A field of the native dialect, under the parameter's own name; always a number."""

    default: float
    least: float
    most: float
    written: str  # the pattern of a number that comes as a string


@dataclass(frozen=True, slots=True)
class OpenAI:
    """A field of the OpenAI dialect."""

    name: str = ""  # empty: the parameter's own
    bounds: Meta | None = None  # None: those of a receipt
    refuse_empty: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """An entry of the table. The struct's field gives it name, type and default."""

    meaning: str
    bounds: Meta | None = None  # in a receipt: the widest of all dialects
    native: Native | None = None
    openai: OpenAI | None = None  # None: not a field, or one that needs code of its own
    configured: tuple[float, float] | None = None  # allowed in a model's generation_config.json
    floor: float | None = None  # lower values have the same effect; the dialects raise them to it
    least: float | None = None  # what the engine can compute; None: 0, or any finite fraction
    seldom: bool = False  # a receipt has it only if it differs from the default
    name: str = ""
    type: Any = None
    default: Any = NODEFAULT

    @property
    def required(self) -> bool:
        return self.default is NODEFAULT

    @property
    def openai_name(self) -> str:
        """The field's name in bodies of the OpenAI dialect."""
        return (self.openai and self.openai.name) or self.name

    @property
    def openai_bounds(self) -> Meta | None:
        """The field's bounds in bodies of the OpenAI dialect."""
        return (self.openai and self.openai.bounds) or self.bounds

    def tokens(self, value: Any) -> Tokens:
        """Return the token ids that a value of this parameter names."""
        if self.type == Biases:
            return tuple(token for token, _ in value)
        return value if self.type == Tokens else ()


def table_of(kind: type[Struct]) -> tuple[Parameter, ...]:
    """Return the parameters of a struct whose fields are each annotated with one."""
    return tuple(_named(field) for field in structs.fields(kind))


def _named(field: structs.FieldInfo) -> Parameter:
    kind, parameter = get_args(field.type)
    named: Parameter = replace(parameter, name=field.name, type=kind, default=field.default)
    return named


def bounded(kind: Any, bounds: Meta | None) -> Any:
    """Return the type with its bounds."""
    return Annotated[kind, bounds] if bounds else kind


def with_fields(fields: Iterable[tuple[str, Any, Any]]) -> Callable[[type[_Kind]], type[_Kind]]:
    """Return a decorator that adds fields (name, type, default) to a struct."""

    def add(kind: type[_Kind]) -> type[_Kind]:
        return msgspec.defstruct(  # type: ignore[return-value]
            kind.__name__,
            list(fields),
            bases=(kind,),
            module=kind.__module__,
            namespace={"__doc__": kind.__doc__},
            kw_only=True,
        )

    return add
