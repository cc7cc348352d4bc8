"""From messages to a request that is ready to be computed, as POST /v1/chat/completions does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rowcast.frontend.api.bodies.parsing import as_struct
from rowcast.frontend.api.bodies.types import ChatBody
from rowcast.frontend.api.chat_prompt import ChatPrompt, chat_prompt
from rowcast.frontend.api.openai.response.calls import MessageReader
from rowcast.frontend.served_model import ServedModel
from rowcast.offline.generation.inputs import Input
from rowcast.offline.generation.prepared import (
    LOCAL,
    Prepared,
    Seeds,
    default_body,
    recipe_of,
    request_for,
    warn_of_unenforced,
)
from rowcast.offline.params import SamplingParams, body_of

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What a chat has besides its messages and parameters."""

    tools: Sequence[Mapping[str, Any]] | None = None
    tool_choice: str | Mapping[str, Any] | None = None
    continue_final_message: bool = False
    chat_template_kwargs: Mapping[str, Any] | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields of a body."""
        sent = {
            "tools": self.tools,
            "tool_choice": self.tool_choice,
            "continue_final_message": self.continue_final_message,
            "chat_template_kwargs": self.chat_template_kwargs,
        }
        return {name: value for name, value in sent.items() if value}


class Chats:
    """Prepares the conversations of one call."""

    def __init__(self, served: ServedModel, options: ChatOptions, seeds: Seeds) -> None:
        self._served = served
        self._options = options
        self._seeds = seeds

    def prepared(self, name: str, messages: Messages, params: SamplingParams | None) -> Prepared:
        """Return the request for a conversation. Raises RequestError."""
        served, body = self._served, _chat_body(messages, params, self._options)
        chat = chat_prompt(served, LOCAL, body)
        warn_of_unenforced(chat.rule)
        own = SamplingParams(max_tokens=None) if params is None else params
        sampling = default_body(served, None) if params is None else params.checked()
        return request_for(
            served,
            Input(name, chat.text, chat.tokens),
            recipe_of(served, own, sampling, grammar=chat.grammar),
            self._seeds,
            shown=chat.hidden,
            reader=partial(_reader, chat),
        )


def _chat_body(messages: Messages, params: SamplingParams | None, options: ChatOptions) -> ChatBody:
    given = {} if params is None else body_of(params)
    sampling = {field: each for field, each in given.items() if field != "best_of"}
    if not sampling.get("max_tokens", 1):  # 0 is allowed for completions alone
        del sampling["max_tokens"]
    sent = {"model": "", "messages": list(messages), **sampling, **options.fields()}
    return as_struct(sent, ChatBody)


def _reader(chat: ChatPrompt, name: str, reply: int) -> MessageReader:
    """Return the reader of one reply's text."""
    return MessageReader(chat.reader(), chat.tools.custom if chat.tools else (), name, reply)
