"""From the inputs of a body to prompts: counted first, then tokenized, and refused if too long.

Texts are tokenized in groups, long groups by a helper, so that no other stream waits for them.
"""

from collections.abc import Iterable, Iterator, Sequence

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.sampling import checked_tokens
from rowcast.frontend.api.embeddings.types import MOST_INPUTS, EmbeddingBody
from rowcast.frontend.api.openai.completions import prompts_of
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import LONG_TEXT, ServedModel
from rowcast.frontend.turns import in_turns
from rowcast.offload import tasks
from rowcast.sampling_params import SamplingParams
from rowcast.wire import Pooling

GROUP = 1 << 16  # characters of a group of several texts; a longer text is a group alone
_SILENT = SamplingParams(max_tokens=0)


def prompts_in(
    served: ServedModel, request: Request, body: EmbeddingBody, pooling: Pooling
) -> list[Prompt]:
    """Return a prompt for each input."""
    inputs = prompts_of(body.input, "input")
    if len(inputs) > MOST_INPUTS:
        raise InvalidField("input", f"has {len(inputs)} entries; the limit is {MOST_INPUTS}")
    context = served.status().context_length
    most = _most(body, context)
    return [
        Prompt(
            tokens=_fitting(at, tokens, most, context),
            params=_SILENT,
            seed=0,
            dialect="embeddings",
            pooling=pooling,
            cache_salt=body.cache_salt or "",
        )
        for at, tokens in enumerate(in_turns(_tokenized(served, request, body, inputs, most)))
    ]


def _most(body: EmbeddingBody, context: int) -> int | None:
    """Return the tokens to which inputs are cut; None: longer ones are refused."""
    most = body.truncate_prompt_tokens
    if most is None:
        return None
    if most == 0 or most > context:
        raise InvalidField(
            "truncate_prompt_tokens",
            f"is {most}; send 1 to {context}, which is the model's context, or -1 for that",
        )
    return context if most < 0 else most


def _fitting(at: int, tokens: Sequence[int], most: int | None, context: int) -> tuple[int, ...]:
    """Return an input's tokens, or the last `most`. Raises PromptTooLong."""
    if most is not None:
        return tuple(tokens[-most:])
    if len(tokens) > context:
        raise tasks.too_long(at, f"{len(tokens)}", context)
    return tuple(tokens)


def _tokenized(
    served: ServedModel,
    request: Request,
    body: EmbeddingBody,
    inputs: Iterable[str | list[int]],
    most: int | None,
) -> Iterator[Sequence[int]]:
    """Yield the token ids of each input."""
    special = body.add_special_tokens is not False
    limit = served.context_length if most is None else None
    texts = [each for each in inputs if isinstance(each, str)]  # all of them, or none
    first = 0
    for group in _groups(texts):
        if sum(map(len, group)) < LONG_TEXT:
            yield from (served.tokenizer.encode(text, special=special) for text in group)
        else:
            task = tasks.encode_inputs
            yield from served.elsewhere(request, task, group, first, special, limit)
        first += len(group)
    vocabulary = served.tokenizer.vocabulary
    for each in inputs:
        if not isinstance(each, str):
            yield checked_tokens("input", each, vocabulary)


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts in groups of limited length."""
    group: list[str] = []
    length = 0
    for text in texts:
        if group and length + len(text) > GROUP:
            yield group
            group, length = [], 0
        group.append(text)
        length += len(text)
    if group:
        yield group
