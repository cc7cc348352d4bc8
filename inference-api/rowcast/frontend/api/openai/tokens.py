"""Counting, tokenizing and detokenizing: a prompt's cost, without running the model."""

from flask import Response

from rowcast.frontend.api.openai.request.messages import prompt_of
from rowcast.frontend.api.openai.request.parsing import read, read_object
from rowcast.frontend.api.openai.request.sampling import checked_tokens
from rowcast.frontend.api.openai.request.types import (
    CountBody,
    DetokenizeBody,
    TokenizeMessages,
    TokenizeText,
)
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.openai.response.types import Detokenized, TokenCount, Tokenized
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.turns import in_turns
from rowcast.text.chat.template import End


def count_tokens(frontend: Frontend) -> Response:
    """Count the tokens of a prompt: a text, or messages in the model's template."""
    body = read(frontend, CountBody)
    if isinstance(body.conversation, str):
        tokens = frontend.encode(body.conversation, for_prompt=False)
    else:
        tokens = prompt_of(frontend, body.conversation, for_prompt=False).tokens
    return json_answer(TokenCount(body.model, len(tokens)))


def tokenize(frontend: Frontend) -> Response:
    """Return the token ids of a text or of messages."""
    body = frontend.body(plain=True)
    asked: TokenizeText | TokenizeMessages
    if "messages" in body:
        asked = read_object(frontend, body, TokenizeMessages)
    else:
        asked = read_object(frontend, body, TokenizeText)
    tokens = _tokens(frontend, asked)
    named = map(frontend.tokenizer.token_name, in_turns(tokens))
    return json_answer(
        Tokenized(
            count=len(tokens),
            max_model_len=frontend.status().context_length,
            tokens=list(tokens),
            token_strs=list(named) if asked.return_token_strs else None,
        )
    )


def detokenize(frontend: Frontend) -> Response:
    """Return the text of token ids."""
    body = read(frontend, DetokenizeBody)
    tokens = checked_tokens("tokens", body.tokens, frontend.tokenizer.vocabulary)
    return json_answer(Detokenized(frontend.decode(tokens)))


def _end(asked: TokenizeMessages) -> End:
    if asked.continue_final_message:
        return "open"
    return "closed" if asked.add_generation_prompt is False else "turn"


def _tokens(frontend: Frontend, asked: TokenizeText | TokenizeMessages) -> tuple[int, ...]:
    if isinstance(asked, TokenizeText):
        special = asked.add_special_tokens is not False
        return frontend.encode(asked.prompt, special=special, for_prompt=False)
    prompt = prompt_of(
        frontend,
        asked.messages,
        tools=asked.tools,
        end=_end(asked),
        extra=asked.chat_template_kwargs,
        for_prompt=False,
    )
    return (
        frontend.encode(prompt.text, for_prompt=False)
        if asked.add_special_tokens
        else prompt.tokens
    )
