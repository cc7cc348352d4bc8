"""The OpenAPI operations of reranking."""

from dataclasses import replace

from rowcast.frontend.api.openai.openapi import ERROR
from rowcast.frontend.api.operation import JSON, REPLY_ERRORS, Operation
from rowcast.frontend.api.rerank.types import RerankAnswer, RerankBody

_RERANK = Operation(
    method="post",
    path="/v1/rerank",
    tag="OpenAI",
    summary="The documents that are most relevant to a query",
    body=RerankBody,
    example={
        "model": "falcon40b",
        "query": "Where is it foggy?",
        "documents": ["San Francisco is foggy", "It rarely snows here"],
        "top_n": 1,
    },
    answers={JSON: RerankAnswer},
    error=ERROR,
    errors=REPLY_ERRORS,
)
OPERATIONS = (
    _RERANK,
    replace(_RERANK, path="/v2/rerank"),
    replace(_RERANK, path="/rerank"),
)
