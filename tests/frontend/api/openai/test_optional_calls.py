"""Calls that a model may make: constrained by their tool's schema from their beginning on.

The engine writes a given text byte by byte, and errs: where its byte is not allowed it draws
another one, and goes on with the text.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rowcast.text.chat.template import ChatTemplate

from ...serving import Served, serving
from .asking import CHAT, HELLO, chat, complete, events, reasons, refusal
from .saying import SayingEngine
from .test_tools import BARE, TAGGED, TOOLS

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome", "days": 2}}\n</tool_call>'
PREFIXES = [
    {"type": "function", "function": {"name": name, "parameters": parameters}}
    for name, parameters in {
        "get": {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
        "get_all": {"type": "object", "properties": {"b": {"const": 2}}, "required": ["b"]},
    }.items()
]
TREE = {
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/node"}},
    "required": ["root"],
    "additionalProperties": False,
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"$ref": "#/$defs/node"}},
            "required": ["a"],
            "additionalProperties": False,
        }
    },
}


class Speaker:
    """A server whose model writes what the test says."""

    def __init__(self, served: Served, engine: SayingEngine) -> None:
        self.served = served
        self.engine = engine

    def reply(self, text: str, *, ends: bool = True, errs: bool = True, **asked: Any) -> Any:
        """Return the choice of a whole answer, after comparing it with the streamed one."""
        self.engine.says(text, ends=ends)
        self.engine.errs = errs
        body = {"tools": TOOLS, "seed": 5, "max_tokens": 3000} | asked
        (choice,) = chat(self.served, **body)["choices"]
        chunks = events(self.served, CHAT, **body)
        assert reasons(chunks) == {0: choice["finish_reason"]}
        assert _joined(chunks) == (choice["message"]["content"], _calls(choice["message"]))
        return choice


def _joined(chunks: list[dict[str, Any]]) -> tuple[str | None, list[tuple[str, str]]]:
    text, calls = "", list[tuple[str, str]]()
    for chunk in chunks:
        for choice in chunk["choices"]:
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", []):
                if "id" in call:
                    calls.append((call["function"]["name"], ""))
                name, arguments = calls[call["index"]]
                calls[call["index"]] = name, arguments + call["function"]["arguments"]
    return (text or None if calls else text), calls


def _calls(message: dict[str, Any]) -> list[tuple[str, str]]:
    functions = [call["function"] for call in message.get("tool_calls", [])]
    return [(each["name"], each["arguments"]) for each in functions]


@pytest.fixture(scope="module")
def tagged() -> Iterator[Speaker]:
    engine = SayingEngine("")
    with serving(engine=engine, chat=ChatTemplate(TAGGED)) as served:
        yield Speaker(served, engine)


@pytest.fixture(scope="module")
def bare() -> Iterator[Speaker]:
    engine = SayingEngine("")
    with serving(engine=engine, chat=ChatTemplate(BARE)) as served:
        yield Speaker(served, engine)


def _weather(arguments: str) -> None:
    read = json.loads(arguments)
    assert set(read) == {"city", "days"}
    assert read["city"] in {"Paris", "Rome"}
    assert type(read["days"]) is int


@pytest.mark.parametrize(
    "said",
    [
        CALL,
        CALL.replace('"Rome"', "'Rome'"),
        CALL.replace('"Rome"', '"Berlin"'),
        CALL.replace("weather", "wether"),
        CALL.replace('"days": 2', '"days": "2"'),
        CALL.replace('"arguments"', '"args"'),
        CALL.replace("}}", "}"),
        "<tool_call>{name: weather}</tool_call>",
    ],
)
def test_a_call_that_begins_is_valid_whatever_the_model_writes(tagged: Speaker, said: str) -> None:
    choice = tagged.reply(f"Let me see. {said}", tools=TOOLS[:1], ends=False, max_tokens=200)
    ((name, arguments), *_) = _calls(choice["message"])
    assert name == "weather"
    _weather(arguments)
    assert choice["message"]["content"].startswith("Let me see. ")


def test_a_call_as_it_should_be_is_not_changed(tagged: Speaker) -> None:
    choice = tagged.reply(f"Well.\n{CALL}\n{CALL} So.", errs=False)
    assert choice["finish_reason"] == "tool_calls"
    assert _calls(choice["message"]) == [("weather", '{"city": "Rome", "days": 2}')] * 2
    assert choice["message"]["content"] == "Well.\nSo."


def test_without_parallel_calls_the_reply_ends_with_the_first(tagged: Speaker) -> None:
    choice = tagged.reply(f"{CALL}\n{CALL} So.", parallel_tool_calls=False, errs=False)
    assert choice["finish_reason"] == "tool_calls"
    assert len(_calls(choice["message"])) == 1
    assert choice["message"]["content"] is None


@pytest.mark.parametrize(
    "said",
    [
        "Nothing to call here.",
        "Calls begin with `<tool_call>` and end with `</tool_call>`, as <tool_call >{ does not.",
        "```\n<tool_call>f({})</tool_call>\n```\n<tool_call",
        f'<tool_call>{" " * 65}{{"name": no',
        '{"name": "weather", "parameters": {"city": 7}}',
        "<tool_call>\u00a0{'name'}",
    ],
)
def test_text_without_a_call_is_free(tagged: Speaker, said: str) -> None:
    choice = tagged.reply(said, errs=False)
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == said
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize(
    "said",
    [
        '{"name": "owl", "parameters": {"city": 7}}',
        '{"name": "weather", "description": {"city": 7}}',
        '{"name": "weather", "parameters": 7}',
        'So: {"name": "weather", "parameters": {"city": 7}}',
    ],
)
def test_an_object_that_is_no_call_is_text(bare: Speaker, said: str) -> None:
    choice = bare.reply(said, errs=False)
    assert choice["message"]["content"] == said
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize("key", ["parameters", "arguments"])
def test_a_bare_call_is_valid_from_its_arguments_on(bare: Speaker, key: str) -> None:
    said = f'\n {{ "name" :"weather", "{key}":  {{"city": "Berlin", "days": 2}}}} more'
    choice = bare.reply(said, ends=False)
    ((name, arguments),) = _calls(choice["message"])
    assert choice["finish_reason"] == "tool_calls"
    assert name == "weather"
    _weather(arguments)
    assert choice["message"]["content"] is None


def test_names_may_begin_alike(tagged: Speaker, bare: Speaker) -> None:
    for name, wanted in (("get", {"a": 1}), ("get_all", {"b": 2})):
        said = f'{{"name": "{name}", "%s": {json.dumps(wanted)}}}'
        spoken = [
            tagged.reply(
                f"<tool_call>{said % 'arguments'}</tool_call>", tools=PREFIXES, errs=False
            ),
            bare.reply(said % "parameters", tools=PREFIXES, errs=False),
        ]
        for choice in spoken:
            assert _calls(choice["message"]) == [(name, json.dumps(wanted))]


def test_the_schema_of_another_tool_is_not_followed(tagged: Speaker) -> None:
    said = '<tool_call>{"name": "get_all", "arguments": {"a": 1}}</tool_call>'
    ((name, arguments), *_) = _calls(tagged.reply(said, tools=PREFIXES, ends=False)["message"])
    assert (name, json.loads(arguments)["b"]) == ("get_all", 2)


def test_one_of_many_tools_is_called(tagged: Speaker) -> None:
    tools = [
        {"type": "function", "function": {"name": f"tool_{n}", "parameters": {"properties": {
            "n": {"const": n}}, "required": ["n"]}}}
        for n in range(20)
    ]  # fmt: skip
    said = '<tool_call>{"name": "tool_19", "arguments": {"n": 12}}</tool_call>'
    ((name, arguments), *_) = _calls(tagged.reply(said, tools=tools, ends=False)["message"])
    assert (name, json.loads(arguments)["n"]) == ("tool_19", 19)


def test_references_and_recursion_are_followed(tagged: Speaker) -> None:
    tools = [{"type": "function", "function": {"name": "plant", "parameters": TREE}}, *TOOLS]
    value = {"root": {"a": 1, "b": {"a": 2, "b": {"a": 3}}}}
    call = f'<tool_call>{{"name": "plant", "arguments": {json.dumps(value)}}}</tool_call>'
    choice = tagged.reply(call, tools=tools, errs=False)
    ((_, arguments),) = _calls(choice["message"])
    assert json.loads(arguments) == value


def test_a_tool_without_parameters_takes_an_empty_object(tagged: Speaker) -> None:
    said = '<tool_call>{"name": "now", "arguments": {"zone": "UTC"}}</tool_call>'
    ((name, arguments), *_) = _calls(tagged.reply(said, ends=False)["message"])
    assert (name, json.loads(arguments)) == ("now", {})


def test_marks_within_arguments_are_text(tagged: Speaker) -> None:
    tools = [{"type": "function", "function": {"name": "say", "parameters": {
        "type": "object", "properties": {"text": {"type": "string"}}}}}]  # fmt: skip
    value = {"text": '</tool_call> <tool_call>{"name": "no", "arguments": {}}</tool_call> }} \\" {'}
    call = f'<tool_call>{{"name": "say", "arguments": {json.dumps(value)}}}</tool_call>'
    choice = tagged.reply(call, tools=tools, errs=False)
    assert [(n, json.loads(a)) for n, a in _calls(choice["message"])] == [("say", value)]


@pytest.mark.parametrize("cut", [20, 45, 65, 75])
def test_a_call_that_max_tokens_cuts_says_so(tagged: Speaker, cut: int) -> None:
    choice = tagged.reply(CALL, max_tokens=cut, errs=False)
    assert choice["finish_reason"] == "length"
    written = choice["message"]["content"] or "".join(a for _, a in _calls(choice["message"]))
    assert written
    assert written in CALL


def test_a_stop_sequence_within_arguments_is_not_the_end_of_a_call(tagged: Speaker) -> None:
    choice = tagged.reply(CALL, stop=["Ro"], errs=False)
    assert choice["finish_reason"] == "stop"
    assert _calls(choice["message"]) == [("weather", '{"city": "')]


def test_several_replies_call_each_for_itself(tagged: Speaker) -> None:
    tagged.engine.says(CALL.replace("Rome", "Oslo"), ends=False)
    tagged.engine.errs = True
    asked = {"tools": TOOLS, "n": 3, "seed": 1, "max_tokens": 100, "logprobs": True}
    choices = chat(tagged.served, **asked)["choices"]
    for choice in choices:
        ((name, arguments), *_) = _calls(choice["message"])
        assert name == "weather"
        _weather(arguments)
        assert choice["logprobs"]["content"]


def test_a_free_reply_is_the_same_as_before(tagged: Speaker) -> None:
    """The same prompt without tools has the same reply, token by token."""
    tagged.engine.says("", ends=False)
    asked = {"tools": TOOLS, "seed": 11, "max_tokens": 400}
    (free,) = chat(tagged.served, **asked)["choices"]
    asked_tokens = {"model": "scripted", "messages": HELLO, "tools": TOOLS}
    prompt = tagged.served.post("/tokenize", **asked_tokens).get_json()["tokens"]
    plain = complete(tagged.served, prompt=prompt, seed=11, max_tokens=400)
    assert free["message"]["content"] == plain["choices"][0]["text"]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}},
         "uniqueItems at /properties/a of f"),
        ({"type": "no such type"}, "parameters of f"),
        ({"$ref": "https://example.com/other"}, "parameters of f"),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_kept(tagged: Speaker, parameters: Any, named: str) -> None:
    tagged.engine.says("Hi.")
    function = {"name": "f", "parameters": parameters}
    body = {"model": "scripted", "messages": HELLO}
    loose = tagged.served.post(CHAT, **body, tools=[{"type": "function", "function": function}])
    assert loose.status_code == 200
    assert loose.headers["X-Rowcast-Unenforced"] == named
    strict = {"type": "function", "function": function | {"strict": True}}
    refused = refusal(tagged.served.post(CHAT, **body, tools=[strict]))
    assert refused["param"] == "tools"
