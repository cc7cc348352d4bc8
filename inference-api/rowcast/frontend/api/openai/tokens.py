"""Counting, tokenizing and detokenizing: what a prompt costs, without asking the model anything."""

from flask import Response

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.answers import Detokenized, TokenCount, Tokenized
from rowcast.frontend.api.openai.bodies import CountBody, DetokenizeBody, TokenizeBody
from rowcast.frontend.api.openai.logprobs import token_text
from rowcast.frontend.api.openai.messages import prompt_of
from rowcast.frontend.api.openai.reading import read
from rowcast.frontend.api.openai.sampling import checked_tokens
from rowcast.frontend.api.openai.streams import json_answer
from rowcast.frontend.frontend import Frontend
from rowcast.text.tokenizer import decoded


def count_tokens(frontend: Frontend) -> Response:
    """How many tokens a text, or messages with the model's template, would be as a prompt."""
    body = read(frontend, CountBody)
    if isinstance(body.conversation, str):
        tokens = frontend.encode(body.conversation)
    else:
        tokens = prompt_of(frontend, body.conversation).tokens
    return json_answer(TokenCount(body.model, len(tokens)))


def tokenize(frontend: Frontend) -> Response:
    """The token ids of a text or of messages."""
    body = read(frontend, TokenizeBody)
    tokens = _tokens(frontend, body)
    named = [token_text(frontend.tokenizer, token) for token in tokens]
    return json_answer(
        Tokenized(
            count=len(tokens),
            max_model_len=frontend.status().context_length,
            tokens=list(tokens),
            token_strs=named if body.return_token_strs else None,
        )
    )


def detokenize(frontend: Frontend) -> Response:
    """The text of token ids."""
    body = read(frontend, DetokenizeBody)
    tokens = checked_tokens("tokens", body.tokens, frontend.tokenizer.vocabulary)
    return json_answer(Detokenized(decoded(frontend.tokenizer, tokens)))


def _tokens(frontend: Frontend, body: TokenizeBody) -> tuple[int, ...]:
    if (body.prompt is None) == (body.messages is None):
        raise InvalidField("prompt", "or messages must be sent, and not both")
    if body.messages is not None:
        return prompt_of(
            frontend, body.messages, continues=body.add_generation_prompt is False
        ).tokens
    return frontend.encode(body.prompt or "", special=body.add_special_tokens is not False)
