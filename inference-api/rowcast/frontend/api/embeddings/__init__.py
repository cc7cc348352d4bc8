"""Embeddings: OpenAI's route, in which a text becomes a vector.

    POST /v1/embeddings      also /embeddings, for base URLs without /v1

    body ──inputs──▶ prompts ──computing──▶ vectors ──shaping──▶ one JSON object, sent in parts

Each input is a prompt in a row of the model, beside the replies of others. The answer is a function
of build and body, bit for bit, so nothing of it is stored in the journal. `docs/embeddings.md`
describes all of it.
"""

import re
from collections.abc import Iterable

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.parsing import read
from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.embeddings.computing import vectors_of
from rowcast.frontend.api.embeddings.inputs import prompts_in
from rowcast.frontend.api.embeddings.openapi import OPERATIONS, PATHS
from rowcast.frontend.api.embeddings.shaping import Shape, answer
from rowcast.frontend.api.embeddings.types import EmbeddingBody, EmbeddingUsage
from rowcast.frontend.api.openai.errors import error_body
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.frontend.served_model import ServedModel
from rowcast.wire import Pooling


def embeddings(frontend: Frontend, request: Request) -> Response:
    """Answer with a vector for each input."""
    body, served = read(frontend, request, EmbeddingBody)
    shape, pooling = _shape(served, body), _pooling(served, body)
    prompts = prompts_in(served, request, body, pooling)
    count = sum(len(each.tokens) for each in prompts)
    vectors = vectors_of(served, request, prompts, frontend.settings.reply_seconds)
    return answer(vectors, shape, body.model, EmbeddingUsage(count, count))


def _pooling(served: ServedModel, body: EmbeddingBody) -> Pooling:
    form = served.vectors
    if body.pooling is None and form.problem:
        raise InvalidField(
            "model", f"names no pooling that is computed here: {form.problem}; send pooling"
        )
    return body.pooling or form.pooling


def _shape(served: ServedModel, body: EmbeddingBody) -> Shape:
    most = served.status().dimensions
    if not most:
        raise InvalidField(
            "model",
            "computes no embeddings: its backend, or its image of packed weights, is of an "
            "earlier version; start it again, with SAVE_IMAGE=1 if it is loaded from an image",
        )
    if body.dimensions is not None and body.dimensions > most:
        raise InvalidField(
            "dimensions",
            f"is {body.dimensions}; the model's vectors have {most}: send at most that",
        )
    normalizes = served.vectors.normalizes if body.normalize is None else body.normalize
    return Shape(body.dimensions or most, normalizes, body.encoding_format == "base64")


def _routes(_: Api) -> Iterable[Route]:
    return (Route("POST", path, embeddings) for path in PATHS)


DIALECT = Dialect(
    routes=_routes,
    operations=OPERATIONS,
    error_body=error_body,
    prefixes=PATHS,
    rows=re.compile("|".join(PATHS)),
)
