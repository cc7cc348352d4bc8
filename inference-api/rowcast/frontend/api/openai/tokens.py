"""Counting, tokenizing and detokenizing: a prompt's cost, without running the model."""

from rowcast.frontend.api.bodies.messages import prompt_of
from rowcast.frontend.api.bodies.parsing import read, read_object
from rowcast.frontend.api.bodies.sampling import checked_tokens
from rowcast.frontend.api.bodies.types import (
    CountBody,
    DetokenizeBody,
    TokenizeMessages,
    TokenizeText,
)
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.openai.response.types import Detokenized, TokenCount, Tokenized
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.turns import in_turns
from rowcast.text.chat.template import End


def count_tokens(frontend: Frontend, request: Request) -> Response:
    """Count the tokens of a prompt: a text, or messages in the model's template."""
    body, served = read(frontend, request, CountBody)
    if isinstance(body.conversation, str):
        tokens = served.encode(request, body.conversation, for_prompt=False)
    else:
        tokens, _ = prompt_of(served, request, body.conversation, for_prompt=False)
    return json_answer(TokenCount(body.model, len(tokens)))


def tokenize(frontend: Frontend, request: Request) -> Response:
    """Return the token ids of a text or of messages."""
    sent = request.body.json(plain=True)
    kind: type[TokenizeText | TokenizeMessages]
    kind = TokenizeMessages if "messages" in sent else TokenizeText
    body, served = read_object(frontend, request, sent, kind)
    tokens = _tokens(served, request, body)
    named = map(served.tokenizer.token_name, in_turns(tokens))
    return json_answer(
        Tokenized(
            count=len(tokens),
            max_model_len=served.status().context_length,
            tokens=list(tokens),
            token_strs=list(named) if body.return_token_strs else None,
        )
    )


def detokenize(frontend: Frontend, request: Request) -> Response:
    """Return the text of token ids."""
    body, served = read(frontend, request, DetokenizeBody)
    tokens = checked_tokens("tokens", body.tokens, served.tokenizer.vocabulary)
    return json_answer(Detokenized(served.decode(request, tokens)))


def _end(body: TokenizeMessages) -> End:
    if body.continue_final_message:
        return "open"
    return "closed" if body.add_generation_prompt is False else "turn"


def _tokens(
    served: ServedModel, request: Request, body: TokenizeText | TokenizeMessages
) -> tuple[int, ...]:
    if isinstance(body, TokenizeText):
        special = body.add_special_tokens is not False
        return served.encode(request, body.prompt, special=special, for_prompt=False)
    tokens, text = prompt_of(
        served,
        request,
        body.messages,
        tools=body.tools,
        end=_end(body),
        extra=body.chat_template_kwargs,
        for_prompt=False,
    )
    return served.encode(request, text, for_prompt=False) if body.add_special_tokens else tokens
