"""Reasoning in a chat: which one the replies may begin with, and rules that apply after it."""

from rowcast.frontend.api.bodies.rules import compiled
from rowcast.frontend.api.bodies.types import AssistantMessage, ChatBody, Message, TextPart
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast.offload import tasks
from rowcast.text.chat.reasoning import Thinking
from rowcast.text.rules.schema_rule import Rule


def thinking_of(served: ServedModel, body: ChatBody, prompt: str, end: str = "") -> Thinking | None:
    """Return the reasoning that the replies may begin with.

    `prompt`: its text. `end`: the mark that ends reasoning; by default, the template's.
    """
    template = served.chat.source
    if body.continue_final_message:
        thinking = Thinking.within(template, _begun(body.messages[-1]))
    else:
        thinking = Thinking.of(template, prompt)
    if thinking and end:
        thinking = thinking.ended_by(end)
    return thinking.spelt(served.tokenizer) if thinking else None


def grammar_after(
    served: ServedModel, request: Request, rule: Rule, thinking: Thinking | None
) -> str:
    """Return a rule's grammar, applied to what follows the reasoning."""
    if thinking is None or not rule.grammar:
        return rule.grammar
    field = "response_format"  # or another field with a rule, which was checked on its own
    task = tasks.thinking_rule
    return compiled(served, request, field, task, thinking, rule.grammar).grammar


def _begun(message: Message) -> str:
    """Return the start of the assistant's message, which the reply continues."""
    if not isinstance(message, AssistantMessage):
        return ""
    content = message.content or ""
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content if isinstance(part, TextPart))
