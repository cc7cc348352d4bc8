"""POST /v1/messages, and the count of the tokens that its prompt has."""

from dataclasses import replace

from rowcast.frontend.api.anthropic.body import CountMessageBody, MessageBody, ThinkingEnabled
from rowcast.frontend.api.anthropic.chat_body import chat_body, named_as_sent
from rowcast.frontend.api.anthropic.stream import events
from rowcast.frontend.api.anthropic.types import TokensCounted
from rowcast.frontend.api.anthropic.view import MessageView, Wanted
from rowcast.frontend.api.bodies.parsing import read
from rowcast.frontend.api.bodies.sampling import params_of
from rowcast.frontend.api.bodies.unenforced import with_unenforced
from rowcast.frontend.api.chat_prompt import ChatPrompt, chat_prompt, prompt_length
from rowcast.frontend.api.events import EVENT_STREAM, SEED_HEADER, streamed
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.reply.positions import Cursor, Position
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response, closed_once_sent
from rowcast.frontend.served_model import ServedModel
from rowcast.text.rules.schema_rule import Rule

ID_HEADER = "request-id"


def create(frontend: Frontend, request: Request) -> Response:
    """Answer with the model's message, or stream it."""
    request.response_headers[ID_HEADER] = request.id
    body, served = read(frontend, request, MessageBody)
    with named_as_sent():
        chat = chat_prompt(served, request, chat_body(body))
    origin = request.origin()
    prompt = _prompt(served, body, chat, origin)
    wanted = Wanted(body, chat, prompt, served.status())
    start = Position.read(origin.start if body.stream else "", 1)
    replies = served.open_all(request, origin, [prompt], start)
    view = MessageView(wanted, replies)
    if body.stream:
        chunks = events(view, Cursor(start), frontend.settings.comment_seconds)
        response = streamed(replies, chunks, EVENT_STREAM, prompt.seed)
    else:
        whole = closed_once_sent(lambda: json_answer(view.whole()), replies.close)
        response = whole.with_headers({SEED_HEADER: str(prompt.seed)})
    return with_unenforced(response, _with_budget(chat.rule, body))


def count_tokens(frontend: Frontend, request: Request) -> Response:
    """Count the tokens of the prompt that the same message would have."""
    request.response_headers[ID_HEADER] = request.id
    body, served = read(frontend, request, CountMessageBody)
    with named_as_sent():
        tokens = prompt_length(served, request, chat_body(body))
    return json_answer(TokensCounted(tokens))


def _prompt(served: ServedModel, body: MessageBody, chat: ChatPrompt, origin: Origin) -> Prompt:
    return Prompt(
        tokens=chat.tokens,
        text=chat.text,
        params=params_of(
            body,
            served.tokenizer.vocabulary,
            served.defaults,
            max_tokens=body.max_tokens,
            grammar=chat.grammar,
        ),
        seed=(origin.seed if body.seed is None else body.seed) % 2**64,
        dialect="anthropic",
        stop=body.stop_sequences,
        timeout=body.timeout,
        cache_salt=body.cache_salt or "",
        shown=chat.hidden,
    )


def _with_budget(rule: Rule, body: MessageBody) -> Rule:
    """Return the rule; a budget of reasoning that was sent is not enforced, either."""
    thinking = body.thinking
    if not isinstance(thinking, ThinkingEnabled) or thinking.budget_tokens is None:
        return rule
    return replace(rule, unenforced=("thinking.budget_tokens", *rule.unenforced))
