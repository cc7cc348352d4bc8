"""The OpenAPI operations of embeddings."""

from dataclasses import replace

from rowcast.frontend.api.embeddings.types import EmbeddingBody, EmbeddingList
from rowcast.frontend.api.openai.openapi import ERROR
from rowcast.frontend.api.operation import JSON, REPLY_ERRORS, Operation

_EMBEDDINGS = Operation(
    method="post",
    path="/v1/embeddings",
    tag="OpenAI",
    summary="The vectors of texts",
    body=EmbeddingBody,
    example={"model": "falcon40b", "input": ["San Francisco is foggy", "It rarely snows here"]},
    answers={JSON: EmbeddingList},
    error=ERROR,
    errors=REPLY_ERRORS,
)
OPERATIONS = (_EMBEDDINGS, replace(_EMBEDDINGS, path="/embeddings"))
