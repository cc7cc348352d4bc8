"""Messages between a frontend and its helpers: a length, then that many bytes.

A request is a pickle, because the frontend trusts itself and helpers trust the frontend. An answer
is msgpack of plain values, because a helper has handled foreign input and is not trusted.
"""

import pickle
import struct
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from rowcast.errors import InvalidField, PromptTooLong, RequestError
from rowcast.text.rules.grammar import GrammarFault

LENGTH = struct.Struct("!I")
FORK = b"+"  # to the fork server, with the descriptor of a helper's socket
_REFUSALS: dict[str, type[RequestError]] = {
    kind.__name__: kind for kind in (GrammarFault, PromptTooLong)
}


class Answer(msgspec.Struct, array_like=True):
    """The outcome of a task. `retires`: the helper ends after it, because its memory has grown."""

    outcome: Literal["done", "refused", "failed"]
    value: msgspec.Raw
    retires: bool = False


class Refusal(msgspec.Struct, array_like=True):
    """An error that the task raised about its input."""

    kind: str
    field: str
    message: str

    @classmethod
    def of(cls, error: RequestError) -> "Refusal":
        """Describe an error."""
        if isinstance(error, InvalidField):
            return cls("", error.field, error.problem)
        return cls(type(error).__name__, "", str(error))

    def error(self) -> RequestError:
        """Return the same error."""
        if self.field:
            return InvalidField(self.field, self.message)
        return _REFUSALS.get(self.kind, RequestError)(self.message)


def request(name: str, arguments: Sequence[Any]) -> bytes:
    """Return the body of a frame that requests a task."""
    return pickle.dumps((name, tuple(arguments)), protocol=pickle.HIGHEST_PROTOCOL)


def framed(body: bytes) -> bytes:
    """Return a body preceded by its length."""
    return LENGTH.pack(len(body)) + body
