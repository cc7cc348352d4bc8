"""The paths of reranking, and their OpenAPI operations."""

from dataclasses import replace

from rowcast.frontend.api.openai.openapi import post
from rowcast.frontend.api.operation import JSON, REPLY_ERRORS
from rowcast.frontend.api.rerank.types import RerankAnswer, RerankBody

PATHS = ("/v1/rerank", "/v2/rerank", "/rerank")

_RERANK = post(
    PATHS[0],
    "The documents that are most relevant to a query",
    RerankBody,
    {JSON: RerankAnswer},
    {
        "model": "falcon40b",
        "query": "Where is it foggy?",
        "documents": ["San Francisco is foggy", "It rarely snows here"],
        "top_n": 1,
    },
)
OPERATIONS = tuple(replace(_RERANK, path=path, errors=REPLY_ERRORS) for path in PATHS)
