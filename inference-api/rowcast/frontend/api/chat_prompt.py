"""From a chat to what the model gets: prompt, tools, reasoning, and the rule of the reply.

OpenAI's `ChatBody` is the form in which every dialect of chats describes a request: a dialect with
another form converts its bodies to it first.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.messages import prompt_of
from rowcast.frontend.api.bodies.rules import grammar_of
from rowcast.frontend.api.bodies.sampling import params_of
from rowcast.frontend.api.bodies.thinking import grammar_after, thinking_of
from rowcast.frontend.api.bodies.tools import Toolbox, rule_of, toolbox
from rowcast.frontend.api.bodies.types import ChatBody
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast.text.chat.reasoning import Thinking
from rowcast.text.chat.reply_reader import ReplyReader
from rowcast.text.rules.schema_rule import Rule


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A chat as its model gets it."""

    tokens: tuple[int, ...]
    text: str
    tools: Toolbox | None
    thinking: Thinking | None  # the reasoning with which replies may begin
    rule: Rule
    grammar: str  # the rule's, applied to what follows the reasoning
    hidden_marks: tuple[tuple[int, str], ...] = ()  # of calls: tokens that a text omits

    @property
    def hidden(self) -> tuple[tuple[int, str], ...]:
        """The special tokens that a reader of the reply must see."""
        thinking = self.thinking.hidden if self.thinking else ()
        return tuple(dict.fromkeys((*thinking, *self.hidden_marks)))

    @property
    def has_parts(self) -> bool:
        """True if a reply may have other parts than text."""
        return self.tools is not None or self.thinking is not None

    def reader(self) -> ReplyReader:
        """Return the reader of one reply's text."""
        return ReplyReader(self.thinking, self.tools.reader() if self.tools else None)


def chat_prompt(served: ServedModel, request: Request, body: ChatBody) -> ChatPrompt:
    """Return the prompt of a chat, with all that its replies must follow."""
    tools = toolbox(served.chat, body)
    requested = grammar_of(served, request, body)
    rule = rule_of(served, request, requested, tools)
    tokens, text = _tokens(served, request, body, tools)
    end = tools.form.reasoning_end if tools and not requested.grammar else ""
    thinking = thinking_of(served, body, text, end)
    grammar = grammar_after(served, request, rule, thinking)
    marks = tools.hidden(served.tokenizer) if tools else ()
    return ChatPrompt(tokens, text, tools, thinking, rule, grammar, marks)


def prompt_length(served: ServedModel, request: Request, body: ChatBody) -> int:
    """Return how many tokens a chat's prompt has; it need not fit the model's context.

    Parameters and tools are checked as for a reply.
    """
    params_of(body, served.tokenizer.vocabulary, served.defaults, max_tokens=0)
    tools = toolbox(served.chat, body)
    tokens, _ = _tokens(served, request, body, tools, for_prompt=False)
    return len(tokens)


@contextmanager
def fields_renamed(names: Mapping[str, str]) -> Iterator[None]:
    """Report a chat's faults under the dialect's own names: `names`, by those of `ChatBody`."""
    try:
        yield
    except InvalidField as fault:
        field = next((name for name in names if fault.field.startswith(name)), None)
        if field is None:
            raise
        rest = fault.field.removeprefix(field)
        raise InvalidField(names[field] + rest, fault.problem) from fault


def _tokens(
    served: ServedModel,
    request: Request,
    body: ChatBody,
    tools: Toolbox | None,
    *,
    for_prompt: bool = True,
) -> tuple[tuple[int, ...], str]:
    """Return the tokens and text of a chat. `for_prompt`: it must fit the model's context."""
    return prompt_of(
        served,
        request,
        body.messages,
        tools=tools.shown if tools else None,
        end="open" if body.continue_final_message else "turn",
        extra=body.chat_template_kwargs,
        for_prompt=for_prompt,
    )
