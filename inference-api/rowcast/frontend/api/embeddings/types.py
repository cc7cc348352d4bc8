"""The body of an embedding request and its answer, in OpenAI's form."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from rowcast.frontend.api.bodies.types import Body, Positive, PromptInput, Text
from rowcast.parameter import MOST
from rowcast.wire import Pooling

MOST_INPUTS = 2048


class EmbeddingBody(Body, kw_only=True):
    """POST /v1/embeddings."""

    input: PromptInput
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Positive | None = None
    user: str | None = None
    cache_salt: Text | None = None
    pooling: Pooling | None = None  # instead of the model's own
    normalize: bool | None = None  # instead of the model's own
    truncate_prompt_tokens: Annotated[int, Meta(ge=-1, le=MOST)] | None = None  # -1: the context
    add_special_tokens: bool | None = None  # to texts; true by default


class Embedding(Struct, kw_only=True):
    """The vector of one input: numbers, or base64 of fp32, little-endian."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(Struct):
    """The tokens of all inputs."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(Struct, kw_only=True):
    """The answer."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
