"""A request for a response, validated: what `view.py` needs to answer it.

A recorded body is complete in itself. If the request continued an earlier response, the items
before its own were added to the body as `BEFORE`, so it can be computed again when that response
is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rowcast.frontend.api.bodies.parsing import claim_options
from rowcast.frontend.api.bodies.types import ChatBody
from rowcast.frontend.api.chat_prompt import ChatPrompt, prompt_length
from rowcast.frontend.api.openai.chat import prepared as prepared_chat
from rowcast.frontend.api.openai.parsed_request import ParsedRequest
from rowcast.frontend.api.openai.responses.request.body import ResponseBody
from rowcast.frontend.api.openai.responses.request.chat_body import chat_body, named_as_sent
from rowcast.frontend.api.openai.responses.request.items import InputItem, MessageItem
from rowcast.frontend.api.openai.responses.request.reading import read_body
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.request import Body, Request
from rowcast.frontend.served_model import ServedModel
from rowcast.journal.background.record import BackgroundRequest

BEFORE = "items_before"  # in recorded bodies only, and first there
_BEGINNING = f'{{"{BEFORE}":'.encode()


@dataclass(frozen=True, slots=True)
class Read:
    """A body, and the items of the conversation before it.

    `accepted`: its background request, if it has one; the response has its id and time.
    """

    body: ResponseBody
    before: Sequence[InputItem] = ()
    accepted: BackgroundRequest | None = None

    @property
    def items(self) -> list[InputItem]:
        """The whole conversation."""
        own = self.body.input
        return [*self.before, *([MessageItem("user", own)] if isinstance(own, str) else own)]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A validated request."""

    read: Read
    request: Request
    served: ServedModel
    prompt: ChatPrompt
    parsed: ParsedRequest


def read_record(body: Body) -> Read:
    """Read the body of a recorded request."""
    content = body.read()
    if not content.startswith(_BEGINNING):
        return Read(read_body(body.json(plain=True)))
    sent = msgspec.json.decode(content)
    before = msgspec.convert(sent.pop(BEFORE), list[InputItem])
    return Read(read_body(sent), before)


def with_before(sent: dict[str, Any], before: list[Any]) -> bytes:
    """Return a body that is complete in itself."""
    return msgspec.json.encode({BEFORE: before, **sent})


def prepare(frontend: Frontend, request: Request, read: Read, *, events: bool = False) -> Prepared:
    """Validate a request. `events`: the answer is an event stream."""
    chat, served = _claimed(frontend, request, read, events=events)
    with named_as_sent():
        prompt, parsed = prepared_chat(served, request, chat)
    return Prepared(read, request, served, prompt, parsed)


def input_tokens(frontend: Frontend, request: Request, read: Read) -> int:
    """Return how many tokens the prompt has."""
    chat, served = _claimed(frontend, request, read)
    with named_as_sent():
        return prompt_length(served, request, chat)


def _claimed(
    frontend: Frontend, request: Request, read: Read, *, events: bool = False
) -> tuple[ChatBody, ServedModel]:
    chat = chat_body(read.body, read.items)
    options = claim_options(chat, events=events)
    return chat, frontend.model(chat.model, request, options)
