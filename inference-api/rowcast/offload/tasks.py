"""The tasks of helpers: functions of the model's text and plain values, registered in `TASKS`.

Results are plain values. A RequestError is about the caller's input and reaches the caller; any
other error is a bug in this server.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rowcast.errors import PromptTooLong
from rowcast.sampling.grammars.grammars import TokenTexts
from rowcast.text.chat.forms import FORMS
from rowcast.text.chat.forms.form import Form
from rowcast.text.chat.messages import flattened
from rowcast.text.chat.reasoning import Thinking, after, spelt
from rowcast.text.chat.template import ChatTemplate, End
from rowcast.text.ranking import Ranked
from rowcast.text.rules import grammar
from rowcast.text.rules.grammar import GrammarFault
from rowcast.text.rules.schema_rule import Rule, rule_of_schema
from rowcast.text.rules.schema_tree import Schema
from rowcast.text.rules.tool_rule import Callee, rule_of_calls, rule_of_optional_calls
from rowcast.text.tokens.tokenizer import Tokenizer, decoded


@dataclass(frozen=True, slots=True)
class Tools:
    """What tasks work with: one model's text, loaded before helpers are forked."""

    tokenizer: Tokenizer
    chat: ChatTemplate
    token_texts: TokenTexts


def encode(tools: Tools, text: str, special: bool, most: int | None) -> list[int]:
    """Tokenize a text. `most`: refuse a text whose length alone implies more tokens."""
    _check_length(tools.tokenizer, text, most)
    return list(tools.tokenizer.encode(text, special=special))


def encode_inputs(
    tools: Tools, texts: Sequence[str], first: int, special: bool, most: int | None
) -> list[list[int]]:
    """Tokenize texts; `first`: the number of the first of them in the request's `input`."""
    found = []
    for at, text in enumerate(texts, first):
        if most is not None and (least := tools.tokenizer.least_tokens(text)) > most:
            raise too_long(at, f"at least {least}", most)
        found.append(list(tools.tokenizer.encode(text, special=special)))
    return found


def too_long(at: int, tokens: str, most: int) -> PromptTooLong:
    """Return the error for an input that exceeds the model's context."""
    return PromptTooLong(
        f"input[{at}] has {tokens} tokens; the model's context holds {most}: shorten it, or send "
        "truncate_prompt_tokens"
    )


def ranked_prompts(  # noqa: PLR0917  # tasks take their arguments by place
    tools: Tools,
    query: str,
    instruction: str | None,
    cut: int | None,
    documents: Sequence[str],
    first: int,
    most: int,
) -> list[list[int]]:
    """Tokenize a query with each document; `first`: the number of the first of these documents.

    `cut`: the most tokens of a document. `most`: of a prompt; a longer one is refused.
    """
    ranked = Ranked(query, instruction, cut)
    found = []
    for at, document in enumerate(documents, first):
        if cut is None:
            _check_ranked(at, tools.tokenizer.least_tokens(query + document), most, "at least ")
        found.append(list(ranked.prompt(tools.tokenizer, tools.chat, document)))
        _check_ranked(at, len(found[-1]), most)
    return found


def _check_ranked(at: int, tokens: int, most: int, least: str = "") -> None:
    if tokens > most:
        raise PromptTooLong(
            f"the prompt with documents[{at}] has {least}{tokens} tokens; the model's context "
            f"holds {most}: shorten the document or the query, or send max_tokens_per_doc"
        )


def decode(tools: Tools, tokens: Sequence[int]) -> str:
    """Return the text of these tokens."""
    return decoded(tools.tokenizer, tokens)


def chat_prompt(  # noqa: PLR0917  # tasks take their arguments by place
    tools: Tools,
    messages: Sequence[Mapping[str, Any]],
    shown: Sequence[Mapping[str, Any]] | None,
    end: End,
    extra: Mapping[str, Any] | None,
    most: int | None,
) -> tuple[list[int], str]:
    """Render the chat template and tokenize the result; return tokens and text.

    `shown`: the tools to show to the model.
    """
    plain = flattened(messages)
    text = tools.chat.render(plain, tools=shown, end=end, extra=extra)
    return encode(tools, text, False, most), text


def schema_rule(tools: Tools, schema: Schema, strict: bool) -> Rule:
    """Compile the rule for JSON that follows a schema."""
    rule = rule_of_schema(schema, strict=strict)
    _check_tokens(tools, rule.grammar)
    return rule


def regex_rule(tools: Tools, regex: str) -> Rule:
    """Compile the rule for text that a regular expression matches as a whole."""
    return Rule(_check_tokens(tools, grammar.of_regex(regex)))


def choice_rule(tools: Tools, choices: Sequence[str]) -> Rule:
    """Compile the rule for one of these texts."""
    return Rule(_check_tokens(tools, grammar.of_choices(choices)))


def lark_rule(tools: Tools, text: str) -> Rule:
    """Compile a Lark grammar."""
    return Rule(_check_tokens(tools, grammar.of_lark(text)))


def tool_rule(tools: Tools, form: str, callees: Sequence[Callee], several: bool) -> Rule:
    """Compile the rule for a reply that calls one of these functions, or several."""
    written = FORMS[form]
    rule = rule_of_calls(written, callees, several=several, tokens=_marks(tools, written))
    _check_tokens(tools, rule.grammar)
    return rule


def optional_tool_rule(tools: Tools, form: str, callees: Sequence[Callee], several: bool) -> Rule:
    """Compile the rule for a reply that may call these functions, once or several times."""
    written = FORMS[form]
    rule = rule_of_optional_calls(written, callees, several=several, tokens=_marks(tools, written))
    _check_tokens(tools, rule.grammar)
    return rule


def _marks(tools: Tools, form: Form) -> list[tuple[int, str]]:
    """Return the form's marks that are a token, and special: to a grammar, others are letters."""
    is_special = tools.token_texts.is_special_token
    return [each for each in spelt(tools.tokenizer, form.marks) if is_special(each[0])]


def thinking_rule(tools: Tools, thinking: Thinking, text: str) -> Rule:
    """Compile the rule for a reply that may think, and then follows a grammar."""
    return Rule(check_grammar(tools, after(thinking, text)))


def grammar_rule(tools: Tools, text: str) -> Rule:
    """Compile a grammar in the backend's own form."""
    return Rule(check_grammar(tools, text))


def check_grammar(tools: Tools, text: str) -> str:
    """Check a grammar under the backend's bounds, and return it."""
    return _check_tokens(tools, grammar.checked(text))


def _check_tokens(tools: Tools, text: str) -> str:
    """Compile a checked grammar with the model's tokens if it may name any, and return it.

    All other grammars were compiled with bytes, which is enough for them.
    """
    if grammar.names_tokens(text) and (fault := grammar.fault_of(text, tools.token_texts)):
        raise GrammarFault(fault.partition("\n")[0])
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
        encode_inputs,
        ranked_prompts,
        decode,
        chat_prompt,
        schema_rule,
        regex_rule,
        choice_rule,
        lark_rule,
        tool_rule,
        optional_tool_rule,
        thinking_rule,
        grammar_rule,
    )
}

# Their results depend only on their arguments, and the same arguments recur.
LASTING = frozenset(
    {
        schema_rule,
        regex_rule,
        choice_rule,
        lark_rule,
        tool_rule,
        optional_tool_rule,
        thinking_rule,
        grammar_rule,
    }
)
