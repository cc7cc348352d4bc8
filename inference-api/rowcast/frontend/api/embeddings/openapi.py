"""The paths of embeddings, and their OpenAPI operations."""

from dataclasses import replace

from rowcast.frontend.api.embeddings.types import EmbeddingBody, EmbeddingList
from rowcast.frontend.api.openai.openapi import post
from rowcast.frontend.api.operation import JSON, REPLY_ERRORS

PATHS = ("/v1/embeddings", "/embeddings")

_EMBEDDINGS = post(
    PATHS[0],
    "The vectors of texts",
    EmbeddingBody,
    {JSON: EmbeddingList},
    {"model": "falcon40b", "input": ["San Francisco is foggy", "It rarely snows here"]},
)
OPERATIONS = tuple(replace(_EMBEDDINGS, path=path, errors=REPLY_ERRORS) for path in PATHS)
