"""From query and documents to prompts, one each: rendered and tokenized by helpers, in groups.

A template comes with its model and is never rendered in this process.
"""

from collections.abc import Iterator, Sequence

from rowcast.frontend.api.chat_prompt import fields_renamed
from rowcast.frontend.api.rerank.types import RerankBody
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.turns import in_turns
from rowcast.offload import tasks
from rowcast.sampling_params import SamplingParams

GROUP = 1 << 16  # characters of a group of several prompts; a longer one is a group alone
_SILENT = SamplingParams(max_tokens=0)


def prompts_of(served: ServedModel, request: Request, body: RerankBody) -> list[Prompt]:
    """Return the prompt of each document. Raises PromptTooLong."""
    scored = served.ranking.tokens
    with fields_renamed({"messages": "query"}):
        return [
            Prompt(
                tokens=tuple(tokens),
                params=_SILENT,
                seed=0,
                dialect="rerank",
                pooling="logits" if scored else "label",
                logits=scored,
                cache_salt=body.cache_salt or "",
            )
            for tokens in in_turns(_tokenized(served, request, body))
        ]


def _tokenized(served: ServedModel, request: Request, body: RerankBody) -> Iterator[Sequence[int]]:
    """Yield the token ids of each prompt."""
    context = served.status().context_length
    first = 0
    for group in _groups(body.texts, len(body.query)):
        yield from served.elsewhere(
            request,
            tasks.ranked_prompts,
            body.query,
            body.instruction,
            body.max_tokens_per_doc,
            group,
            first,
            context,
        )
        first += len(group)


def _groups(documents: Sequence[str], of_query: int) -> Iterator[list[str]]:
    """Yield the documents in groups whose prompts have a limited length."""
    group: list[str] = []
    length = 0
    for document in documents:
        if group and length + of_query + len(document) > GROUP:
            yield group
            group, length = [], 0
        group.append(document)
        length += of_query + len(document)
    yield group
