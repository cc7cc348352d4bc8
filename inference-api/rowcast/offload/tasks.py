"""What helpers can do: functions of the model's text and plain values, registered in `TASKS`.

Results are plain values. A RequestError is about the caller's input and reaches the caller; any
other error means that this server has a bug.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llguidance import LLMatcher, LLParserLimits

from rowcast.errors import PromptTooLong
from rowcast.sampling.grammar import Speech
from rowcast.text import grammar, tool_calls
from rowcast.text.chat import ChatTemplate
from rowcast.text.grammar import GrammarFault
from rowcast.text.messages import flattened
from rowcast.text.tokenizer import Tokenizer, decoded


@dataclass(frozen=True, slots=True)
class Tools:
    """What tasks work with: one model's text, loaded before helpers are forked."""

    tokenizer: Tokenizer
    chat: ChatTemplate
    speech: Speech


def encode(tools: Tools, text: str, special: bool, most: int | None) -> list[int]:
    """Tokenize a text. `most`: refuse, by its length alone, one that must have more tokens."""
    _check_length(tools.tokenizer, text, most)
    return list(tools.tokenizer.encode(text, special=special))


def decode(tools: Tools, tokens: Sequence[int]) -> str:
    """Return the text of these tokens."""
    return decoded(tools.tokenizer, tokens)


def chat_prompt(  # noqa: PLR0917  # tasks take their arguments by place
    tools: Tools,
    messages: Sequence[Mapping[str, Any]],
    shown: Sequence[Mapping[str, Any]] | None,
    continues: bool,
    extra: Mapping[str, Any] | None,
    most: int | None,
) -> tuple[list[int], str]:
    """Render the chat template and tokenize the result; return tokens and text.

    `shown`: the tools that the model is told of. `continues`: the reply goes on with the last
    message.
    """
    plain = flattened(messages)
    text = tools.chat.render(plain, tools=shown, continues=continues, extra=extra)
    return encode(tools, text, False, most), text


def schema_grammar(tools: Tools, schema: bool | dict[str, Any]) -> str:
    """Compile the grammar of JSON that follows a schema."""
    return check_grammar(tools, grammar.of_json_schema(schema))


def regex_grammar(tools: Tools, regex: str) -> str:
    """Compile the grammar of text that a regular expression matches as a whole."""
    return check_grammar(tools, grammar.of_regex(regex))


def choice_grammar(tools: Tools, choices: Sequence[str]) -> str:
    """Compile the grammar of one of these texts."""
    return check_grammar(tools, grammar.of_choices(choices))


def lark_grammar(tools: Tools, text: str) -> str:
    """Compile a Lark grammar."""
    return check_grammar(tools, grammar.of_lark(text))


def tool_grammar(
    tools: Tools, form: str, functions: Sequence[Mapping[str, Any]], several: bool
) -> str:
    """Compile the grammar of a reply that calls one of these functions, or several."""
    return check_grammar(tools, tool_calls.rule(tool_calls.FORMS[form], functions, several=several))


def check_grammar(tools: Tools, text: str) -> str:
    """Do what the backend will do with a grammar, within the same limits, and return it."""
    if not grammar.checked(text):
        return ""
    matcher = LLMatcher(
        tools.speech, text, log_level=0, limits=LLParserLimits(verbose_errors=False)
    )
    if not matcher.is_error():
        matcher.compute_bitmask()
    if matcher.is_error():
        raise GrammarFault(matcher.get_error().partition("\n")[0])
    return text


def _check_length(tokenizer: Tokenizer, text: str, most: int | None) -> None:
    if most is not None and (least := tokenizer.least_tokens(text)) > most:
        raise PromptTooLong(
            f"the prompt has at least {least} tokens; the model's context holds {most}: shorten it"
        )


TASKS: dict[str, Callable[..., Any]] = {
    task.__name__: task
    for task in (
        encode,
        decode,
        chat_prompt,
        schema_grammar,
        regex_grammar,
        choice_grammar,
        lark_grammar,
        tool_grammar,
        check_grammar,
    )
}

# Their results depend on nothing but their arguments, and the same arguments come again and again.
LASTING = frozenset(
    {schema_grammar, regex_grammar, choice_grammar, lark_grammar, tool_grammar, check_grammar}
)
