"""Reranking: which documents are relevant to a query, as Jina, Cohere and vLLM have the route.

    POST /v1/rerank      also /v2/rerank and /rerank, for their clients

    body ──prompts──▶ one prompt a document ──▶ its score in a row ──▶ the documents by relevance

Documents are prompts like inputs of embeddings, computed and limited with the same code. The answer
is a function of build and body. `docs/rerank.md` describes all of it.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Sequence

import msgspec

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.parsing import read
from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.embeddings.computing import vectors_of
from rowcast.frontend.api.embeddings.shaping import numbers_of
from rowcast.frontend.api.embeddings.types import EmbeddingUsage
from rowcast.frontend.api.openai.errors import error_body
from rowcast.frontend.api.rerank.openapi import OPERATIONS, PATHS
from rowcast.frontend.api.rerank.prompts import prompts_of
from rowcast.frontend.api.rerank.types import Document, RerankAnswer, RerankBody, RerankResult
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import JSON, Response, whole
from rowcast.text.ranking import ROLES


def rerank(frontend: Frontend, request: Request) -> Response:
    """Answer with the documents, the most relevant first."""
    body, served = read(frontend, request, RerankBody)
    if served.ranking.problem:
        raise InvalidField("model", served.ranking.problem)
    if body.instruction is not None and not served.chat.shows(*ROLES):
        raise InvalidField("instruction", "has no place: the model has no template for reranking")
    prompts = prompts_of(served, request, body)
    scores = [
        _score(vector)
        for vector in vectors_of(served, request, prompts, frontend.settings.reply_seconds)
    ]
    count = sum(len(each.tokens) for each in prompts)
    answer = RerankAnswer(
        id=f"rerank-{hashlib.sha256(request.body.read()).hexdigest()[:32]}",
        model=body.model,
        results=_results(body, scores),
        usage=EmbeddingUsage(count, count),
    )
    return whole(msgspec.json.encode(answer), JSON)


def _score(vector: bytes) -> float:
    """Return the score of a document: a label's number, a logit, or the difference of two."""
    numbers = numbers_of(vector)
    return numbers[0] - sum(numbers[1:])


def _results(body: RerankBody, scores: Sequence[float]) -> list[RerankResult]:
    texts, shows = body.texts, body.return_documents is not False
    best = sorted(range(len(scores)), key=lambda at: -scores[at])[: body.top_n]
    return [
        RerankResult(
            index=at,
            relevance_score=_relevance(scores[at]),
            document=Document(texts[at]) if shows else msgspec.UNSET,
        )
        for at in best
    ]


def _relevance(score: float) -> float:
    """Return the logistic function of a score."""
    small = math.exp(-abs(score))
    return (1.0 if score >= 0 else small) / (1.0 + small)


def _routes(_: Api) -> Iterable[Route]:
    return (Route("POST", path, rerank) for path in PATHS)


DIALECT = Dialect(
    routes=_routes,
    operations=OPERATIONS,
    error_body=error_body,
    prefixes=PATHS,
    rows=re.compile("|".join(PATHS)),
)
