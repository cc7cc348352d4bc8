"""The body of a rerank request and its answer, as Jina, Cohere and vLLM have them."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from rowcast.frontend.api.bodies.types import Body, Positive, Text
from rowcast.frontend.api.embeddings.types import MOST_INPUTS, EmbeddingUsage


class Document(Struct):
    """A document as an object; its other members are ignored."""

    text: str


class RerankBody(Body, kw_only=True):
    """POST /v1/rerank."""

    query: Text
    documents: Annotated[list[str | Document], Meta(min_length=1, max_length=MOST_INPUTS)]
    top_n: Positive | None = None  # more than there are documents: all
    return_documents: bool | None = None  # true by default
    instruction: str | None = None  # what makes a document relevant, for models that read it
    max_tokens_per_doc: Positive | None = None  # what exceeds them is cut off
    user: str | None = None
    cache_salt: Text | None = None

    @property
    def texts(self) -> list[str]:
        """The text of each document."""
        return [each if isinstance(each, str) else each.text for each in self.documents]


class RerankResult(Struct, kw_only=True):
    """One document, by its place in the request."""

    index: int
    relevance_score: float
    document: Document | UnsetType = UNSET


class RerankAnswer(Struct, kw_only=True):
    """The documents, the most relevant first."""

    id: str
    object: str = "list"
    model: str
    results: list[RerankResult]
    usage: EmbeddingUsage
