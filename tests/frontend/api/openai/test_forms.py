"""Calls in every form over HTTP: by choice or required, whole and streamed, and sent back.

The engine writes a given text byte by byte; where it `errs`, it draws what the grammar allows.

Covers `bodies/tools`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rowcast.text.chat.template import ChatTemplate

from ...serving import Served, serving
from . import templates
from .asking import CHAT, HELLO, chat, events, reasons
from .saying import SayingEngine
from .test_tools import TOOLS

ROME = '{"city": "Rome", "days": 2}'
PREAMBLE = "<|channel|>commentary<|message|>Let me see.<|end|><|start|>assistant"
NOW = "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}<|call|>"
HARMONY_CALL = f"to=functions.weather <|constrain|>json<|message|>{ROME}"


@dataclass(frozen=True)
class Written:
    """A template, and what its models write."""

    template: str
    before: str  # a call: text
    call: str
    two: str  # text and two calls
    read: int = 2  # of those, as many as a reply may have
    text: str = "{}"  # how an answer is written
    needs_names: bool = False  # a call begins with the name of a tool, where marks are letters


FORMS = {
    "mistral": Written(
        templates.MISTRAL,
        "Let me see.",
        f'[TOOL_CALLS] [{{"name": "weather", "arguments": {ROME}}}]',
        f'Let me see.[TOOL_CALLS][{{"name": "weather", "arguments": {ROME}}}, '
        '{"name": "now", "arguments": {}}]',
    ),
    "named": Written(
        templates.NAMED,
        "Let me see.",
        f"[TOOL_CALLS]weather[ARGS]{ROME}",
        f"Let me see.[TOOL_CALLS]weather[ARGS]{ROME}[TOOL_CALLS]now[CALL_ID]abcDEF123[ARGS]{{}}",
        needs_names=True,
    ),
    "granite": Written(
        templates.GRANITE,
        "Let me see.",
        f'<|tool_call|>[{{"name": "weather", "arguments": {ROME}}}]',
        f'Let me see.<|tool_call|>[{{"name": "weather", "arguments": {ROME}}},'
        '\n{"name": "now", "arguments": {}}]',
    ),
    "phi": Written(
        templates.PHI,
        "Let me see.",
        f'<|tool_call|>[{{"name": "weather", "arguments": {ROME}}}]<|/tool_call|>',
        f'Let me see.<|tool_call|>[{{"name": "weather", "arguments": {ROME}}}, '
        '{"name": "now", "arguments": {}}]<|/tool_call|>',
    ),
    "harmony": Written(
        templates.HARMONY,
        PREAMBLE,
        f"<|channel|>commentary {HARMONY_CALL}<|call|>",
        f"{PREAMBLE}<|channel|>commentary {HARMONY_CALL}<|call|><|start|>assistant{NOW}",
        read=1,
        text="<|channel|>final<|message|>{}",
    ),
    "harmony-role": Written(
        templates.HARMONY,
        PREAMBLE,
        f" to=functions.weather<|channel|>commentary json<|message|>{ROME}<|call|>",
        f"{PREAMBLE} {HARMONY_CALL}<|call|>{NOW}",
        read=1,
        text="<|channel|>final<|message|>{}",
    ),
}


class Speaker:
    """A server whose model writes what the test says."""

    def __init__(self, served: Served, engine: SayingEngine, form: Written) -> None:
        self.served = served
        self.engine = engine
        self.form = form

    def reply(self, text: str, *, ends: bool = True, errs: bool = False, **asked: Any) -> Any:
        """Return the choice of a whole answer, after comparing it with the streamed one."""
        self.engine.says(text, ends=ends)
        self.engine.errs = errs
        body = {"tools": TOOLS, "seed": 5, "max_tokens": 1500} | asked
        (choice,) = chat(self.served, **body)["choices"]
        chunks = events(self.served, CHAT, **body)
        assert reasons(chunks) == {0: choice["finish_reason"]}
        assert joined(chunks) == parts(choice)
        return choice


def joined(chunks: list[dict[str, Any]]) -> tuple[str, str, list[tuple[str, str]]]:
    """Return reasoning, content and calls of a stream."""
    thought, text, calls = "", "", list[tuple[str, str]]()
    for chunk in chunks:
        for choice in chunk["choices"]:
            thought += choice["delta"].get("reasoning_content") or ""
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", []):
                if "id" in call:
                    assert call["function"] == {"name": call["function"]["name"], "arguments": ""}
                    calls.append((call["function"]["name"], ""))
                name, arguments = calls[call["index"]]
                calls[call["index"]] = name, arguments + call["function"]["arguments"]
    return thought, text, calls


def parts(choice: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]]]:
    """Return reasoning, content and calls of a choice."""
    message = choice["message"]
    return message.get("reasoning_content") or "", message["content"] or "", calls_of(choice)


def calls_of(choice: dict[str, Any]) -> list[tuple[str, str]]:
    functions = [call["function"] for call in choice["message"].get("tool_calls", [])]
    return [(each["name"], each["arguments"]) for each in functions]


def is_weather(arguments: str) -> bool:
    read = json.loads(arguments)
    return set(read) == {"city", "days"} and read["city"] in {"Paris", "Rome"}


@pytest.fixture(scope="module", params=FORMS)
def speaker(request: pytest.FixtureRequest) -> Iterator[Speaker]:
    """A server of each form."""
    form, engine = FORMS[request.param], SayingEngine("")
    with serving(engine=engine, chat=ChatTemplate(form.template)) as served:
        yield Speaker(served, engine, form)


@pytest.fixture(scope="module")
def channels() -> Iterator[Speaker]:
    """A server of a model that writes in channels."""
    form, engine = FORMS["harmony"], SayingEngine("")
    with serving(engine=engine, chat=ChatTemplate(form.template)) as served:
        yield Speaker(served, engine, form)


def test_a_call_as_it_should_be_is_not_changed(speaker: Speaker) -> None:
    choice = speaker.reply(speaker.form.before + speaker.form.call)
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me see."
    assert calls_of(choice) == [("weather", ROME)]


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("Rome", "Berlin"),
        ('"days"', '"hours"'),
        ("2", '"2"'),
        ("2}", "2, 3"),
        ("weather", "whether"),
    ],
)
def test_a_call_that_begins_is_valid_whatever_the_model_writes(
    speaker: Speaker, said: str, instead: str
) -> None:
    said = speaker.form.before + speaker.form.call.replace(said, instead)
    choice = speaker.reply(said, ends=False, errs=True, max_tokens=400)
    if instead == "whether" and speaker.form.needs_names:
        assert "[TOOL_CALLS]whether" in choice["message"]["content"]
        return
    ((name, arguments), *_) = calls_of(choice)
    assert name == "weather"
    assert is_weather(arguments)
    assert choice["message"]["content"].startswith("Let me see.")


def test_two_calls_are_as_many_as_a_reply_may_have(speaker: Speaker) -> None:
    choice = speaker.reply(speaker.form.two)
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me see."
    assert calls_of(choice) == [("weather", ROME), ("now", "{}")][: speaker.form.read]


def test_without_parallel_calls_the_reply_ends_with_the_first(speaker: Speaker) -> None:
    choice = speaker.reply(speaker.form.two, parallel_tool_calls=False, errs=True)
    assert choice["finish_reason"] == "tool_calls"
    assert calls_of(choice) == [("weather", ROME)]


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize(
    "wanted", ["required", {"type": "function", "function": {"name": "weather"}}]
)
def test_a_tool_that_must_be_called_is_called(speaker: Speaker, wanted: Any, several: bool) -> None:
    asked = {"tool_choice": wanted, "parallel_tool_calls": several, "tools": TOOLS[:1]}
    choice = speaker.reply("", ends=False, **asked)
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] in {"tool_calls", "length"}
    calls = calls_of(choice)
    assert calls[0][0] == "weather"
    assert is_weather(calls[0][1])
    assert len(calls) == 1 or several


@pytest.mark.parametrize("place", range(1, 9))
def test_a_call_that_max_tokens_cuts_says_so(speaker: Speaker, place: int) -> None:
    call = speaker.form.call
    begin = call.index(ROME)
    choice = speaker.reply(call, max_tokens=begin + 3 * place)
    assert choice["finish_reason"] == "length"
    assert calls_of(choice) == [("weather", ROME[: 3 * place])]


def test_a_call_that_is_cut_before_its_arguments_is_text(speaker: Speaker) -> None:
    call = speaker.form.call
    choice = speaker.reply(call, max_tokens=call.index(ROME) - 1)
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"].strip() == call[: call.index(ROME) - 1].strip()
    assert calls_of(choice) == []


@pytest.mark.parametrize(
    "said",
    [
        "Nothing to call here.",
        'A list: [1, 2]. An object: {"name": "weather", "arguments": {"city": 7}}.',
        "It writes `[TOOL_CALLS]` and `<|tool_call|>`, [ARGS], to=functions.f and <tool_call>{.",
        "[TOOL_CALLS] is a mark, as is <|tool_call|>",
        "[TOOL_CALLS] [1] <|tool_call|> [1]",
        "[TOOL_CALLS]f[ARGS]{}",
    ],
)
def test_text_without_a_call_is_free(speaker: Speaker, said: str) -> None:
    choice = speaker.reply(speaker.form.text.format(said))
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == said
    assert calls_of(choice) == []


def test_a_free_reply_is_the_same_as_without_tools(speaker: Speaker) -> None:
    speaker.engine.says("", ends=False)
    (free,) = chat(speaker.served, tools=TOOLS, seed=11, max_tokens=200)["choices"]
    asked = {"model": "scripted", "messages": HELLO, "tools": TOOLS}
    prompt = speaker.served.post("/tokenize", **asked).get_json()["tokens"]
    body = {"model": "scripted", "prompt": prompt, "seed": 11, "max_tokens": 200}
    plain = speaker.served.post("/v1/completions", **body).get_json()
    assert free["message"]["content"] == plain["choices"][0]["text"]


def test_calls_and_results_can_be_sent_back(speaker: Speaker) -> None:
    message = speaker.reply(speaker.form.two)["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"of {call['function']['name']}"}
        for call in message["tool_calls"]
    ]
    chat(speaker.served, messages=[*HELLO, message, *results], tools=TOOLS, max_tokens=1)
    chat(speaker.served, messages=[*HELLO, message, *results, *HELLO], max_tokens=1)


def test_a_rule_of_the_body_goes_before_optional_calls(speaker: Speaker) -> None:
    said = speaker.form.text.format('{"a": 1}')
    choice = speaker.reply(said, response_format={"type": "json_object"})
    assert choice["message"]["content"] == '{"a": 1}'


# ------------------------------------------------------------------------------------ channels

THOUGHT = "<|channel|>analysis<|message|>Rome, I think.<|end|><|start|>assistant"


@pytest.mark.parametrize("form", ["harmony", "harmony-role"])
@pytest.mark.parametrize("preamble", ["", PREAMBLE])
@pytest.mark.parametrize(
    "again", ["", "<|channel|>analysis<|message|> Yes.<|end|><|start|>assistant"]
)
def test_reasoning_and_text_may_come_before_a_call(
    channels: Speaker, form: str, preamble: str, again: str
) -> None:
    choice = channels.reply(THOUGHT + again + preamble + FORMS[form].call)
    assert choice["finish_reason"] == "tool_calls"
    assert parts(choice) == (
        "Rome, I think." + (" Yes." if again else ""),
        "Let me see." if preamble else "",
        [("weather", ROME)],
    )


def test_more_reasoning_may_come_after_text_and_is_counted(channels: Speaker) -> None:
    more = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
    said = f"{THOUGHT}{PREAMBLE}{more}<|channel|>final<|message|>Sunny."
    channels.engine.says(said)
    answer = chat(channels.served, tools=TOOLS, max_tokens=1500)
    (choice,) = answer["choices"]
    assert parts(choice) == ("Rome, I think.Hm.", "Let me see.Sunny.", [])
    details = answer["usage"]["completion_tokens_details"]
    assert details["reasoning_tokens"] == said.index("<|start|>assistant<|channel|>final") + 9


def test_two_texts_are_two_paragraphs(channels: Speaker) -> None:
    choice = channels.reply(f"{PREAMBLE}<|channel|>final<|message|>Sunny.")
    assert choice["message"]["content"] == "Let me see.\n\nSunny."


def test_a_message_to_anything_else_is_text(channels: Speaker) -> None:
    said = "<|channel|>commentary to=python code<|message|>print(1)"
    assert channels.reply(said)["message"]["content"] == said


@pytest.mark.parametrize("wanted", ["required", {"type": "function", "function": {"name": "now"}}])
def test_a_required_call_follows_the_reasoning(channels: Speaker, wanted: Any) -> None:
    said = f"{THOUGHT} to=functions.now<|channel|>commentary json<|message|>{{}}<|call|>"
    choice = channels.reply(said, tool_choice=wanted)
    assert parts(choice) == ("Rome, I think.", "", [("now", "{}")])
    assert choice["finish_reason"] == "tool_calls"


def test_a_rule_of_the_body_follows_the_reasoning_too(channels: Speaker) -> None:
    said = f'{THOUGHT}<|channel|>final<|message|>{{"a": 1}}'
    choice = channels.reply(said, response_format={"type": "json_object"})
    assert parts(choice) == ("Rome, I think.", '{"a": 1}', [])
