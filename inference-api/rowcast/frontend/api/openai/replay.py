"""POST /v1/replay: computes the replies of a receipt again, and returns a receipt of them.

The body is a receipt without its answers, so they cannot be copied without computing them. If it
has `build` and `context_length`, that build computes them, loaded once more if it was replaced; any
other build refuses. Prompts are token ids: no tokenizer or chat template stands between a receipt
and its replies.
"""

from collections.abc import Sequence
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import Annotated

from msgspec import Meta, Struct

from rowcast.errors import BuildChanged, InvalidField
from rowcast.frontend.api.bodies.parsing import read
from rowcast.frontend.api.bodies.rules import compiled
from rowcast.frontend.api.bodies.sampling import checked_tokens
from rowcast.frontend.api.openai.parsed_request import REPLIES
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.reply.receipts import Positive, Question, Receipt, Which, receipt_of
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.frontend.served_model import ServedModel
from rowcast.journal.record import build_version
from rowcast.offload import tasks
from rowcast.sampling_params import PARAMETERS, SamplingParams
from rowcast.wire import Status


class ReplayBody(Question, kw_only=True):
    """POST /v1/replay."""

    replies: Annotated[list[Which], Meta(min_length=1, max_length=REPLIES)]
    build: str | None = None
    context_length: Positive | None = None


class Replayed(Struct):
    """The recomputed replies; the texts are in the order of the receipt's replies."""

    receipt: Receipt
    texts: list[str]


def replay(frontend: Frontend, request: Request) -> Response:
    """Compute the replies of a receipt again."""
    body, served = read(frontend, request, ReplayBody)
    status = served.status()
    _check_build(body, status)
    requested = [(each.prompt, each.choice) for each in body.replies]
    places = {each: at for at, each in enumerate(sorted(set(requested)))}
    prompts = _prompts(served, request, body, list(places))
    replies = served.open_all(request, request.origin(), prompts)
    with closing(replies):
        texts = replies.texts()
        receipt = receipt_of(status, body.stop, [replies[places[each]] for each in requested])
    return json_answer(Replayed(receipt, [texts[places[each]] for each in requested]))


def _check_build(body: ReplayBody, status: Status) -> None:
    expected = (body.build or status.fingerprint, body.context_length or status.context_length)
    here = (status.fingerprint, status.context_length)
    if expected != here:
        raise BuildChanged(
            f"the receipt was made by build {expected[0][:80]} with a context of {expected[1]} "
            f"tokens; {here[0]} with {here[1]} is served now, and its replies may differ",
            build_version(*expected),
        )


def _prompts(
    served: ServedModel, request: Request, body: ReplayBody, wanted: Sequence[tuple[int, int]]
) -> list[Prompt]:
    """Return the wanted prompts and choices, in order."""
    last = wanted[-1][0]
    if last >= len(body.prompts):
        raise InvalidField(
            "replies", f"refer to prompt {last}; the last one is {len(body.prompts) - 1}"
        )
    vocabulary = served.tokenizer.vocabulary
    params = _checked(served, request, body.parameters.to_params())
    prompts = [checked_tokens("prompts", prompt, vocabulary) for prompt in body.prompts]
    return [
        Prompt(
            tokens=prompts[at],
            params=params,
            seed=body.seed % 2**64,
            dialect="replay",
            stop=tuple(body.stop),
            choices=[choice for _, choice in same],
        )
        for at, same in groupby(wanted, key=itemgetter(0))
    ]


def _checked(served: ServedModel, request: Request, params: SamplingParams) -> SamplingParams:
    """Validate the parameters; the sampler trusts them."""
    vocabulary = served.tokenizer.vocabulary
    for each in PARAMETERS:
        checked_tokens("parameters", each.tokens(getattr(params, each.name)), vocabulary)
    if params.grammar:
        compiled(served, request, "parameters.grammar", tasks.grammar_rule, params.grammar)
    return params
