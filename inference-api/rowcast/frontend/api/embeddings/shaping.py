"""From the model's vectors to the answer: shortened, normalized, and encoded part by part.

A large answer is encoded while it is sent, some vectors at a time: other streams run in between,
and what a slow client has not read is still in its compact form.
"""

import base64
import math
import operator
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from rowcast.frontend.api.embeddings.types import Embedding, EmbeddingList, EmbeddingUsage
from rowcast.frontend.response import CONTENT_TYPE, JSON, Response, whole
from rowcast.frontend.turns import in_turns

SMALL = 1 << 15  # numbers of an answer that is sent as one part
TINY = 1e-12  # the least length by which a vector is divided

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Shape:
    """What a request makes of the model's vectors."""

    dimensions: int
    normalizes: bool
    as_base64: bool

    def of(self, vector: bytes) -> list[float] | str:
        """Return a vector of the model as its answer has it."""
        numbers = numbers_of(vector)[: self.dimensions]
        if self.normalizes:
            length = max(math.sqrt(math.fsum(map(operator.mul, numbers, numbers))), TINY)
            numbers = array("f", [number / length for number in numbers])
        if self.as_base64:
            return base64.b64encode(_bytes(numbers)).decode()
        return numbers.tolist()


def answer(vectors: Sequence[bytes], shape: Shape, model: str, usage: EmbeddingUsage) -> Response:
    """Answer with all vectors."""
    parts = _parts(vectors, shape, EmbeddingList(data=[], model=model, usage=usage))
    if len(vectors) * shape.dimensions <= SMALL:
        return whole(b"".join(parts), JSON)
    return Response(body=parts, headers={CONTENT_TYPE: JSON})


def numbers_of(vector: bytes) -> "array[float]":
    """Return the numbers of a vector, whose bytes are little-endian."""
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _parts(vectors: Sequence[bytes], shape: Shape, frame: EmbeddingList) -> Iterator[bytes]:
    """Yield the JSON object in parts of limited size."""
    before, after = _encode(frame).split(b"[]", 1)  # the first empty list is that of the data
    few = max(1, SMALL // shape.dimensions)
    part = [before, b"["]
    for index, vector in enumerate(in_turns(vectors)):
        if index:
            part.append(b",")
        part.append(_encode(Embedding(index=index, embedding=shape.of(vector))))
        if (index + 1) % few == 0:
            yield b"".join(part)
            part = []
    yield b"".join([*part, b"]", after])


def _bytes(numbers: "array[float]") -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()
