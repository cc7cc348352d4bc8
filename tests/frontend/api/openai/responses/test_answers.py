"""Answers of /v1/responses: one object, or events with numbers that depend on the tokens alone.

Covers `responses/create`, `responses/response/answer`, `responses/response/types`,
`responses/response/events`, `responses/response/view`, `responses/response/numbers`,
`responses/response/output`, `responses/response/writers`, `responses/openapi`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from rowcast.frontend.api.openai.responses.response.events import Event, OutputTextDelta
from rowcast.frontend.api.openai.responses.response.numbers import Numbers
from rowcast.text.chat.template import ChatTemplate

from ....serving import Served, serving
from ..saying import SayingEngine
from ..test_tools import WEATHER
from ..thinking import OPENED
from .requesting import events, kinds, parsed, respond, send, stream, texts

TOOL = {"type": "function", "name": "weather", "parameters": WEATHER}
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Rome", "days": 2}}</tool_call>'
MESSAGE = [
    "created",
    "in_progress",
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as made:
        yield made


@pytest.fixture(scope="module")
def caller() -> Iterator[tuple[Served, SayingEngine]]:
    """A server whose template knows tools and reasoning, and its engine."""
    engine = SayingEngine("")
    with serving(engine=engine, chat=ChatTemplate(OPENED)) as made:
        yield made, engine


def test_an_answer_as_one_object(served: Served) -> None:
    found = respond(
        served,
        instructions="Be brief.",
        seed=11,
        max_output_tokens=20,
        metadata={"a": "b"},
        temperature=0.5,
        user="me",
    )
    assert (found["status"], found["incomplete_details"]) == (
        "incomplete",
        {"reason": "max_output_tokens"},
    )
    assert found["metadata"] == {"a": "b"}
    assert (found["temperature"], found["user"], found["seed"]) == (0.5, "me", 11)
    usage = found["usage"]
    assert usage["input_tokens"] == len("system: Be brief.\nuser: Hello\nassistant:")
    assert (usage["output_tokens"], usage["total_tokens"]) == (20, usage["input_tokens"] + 20)


def test_a_stream_has_the_same_text_and_end(served: Served) -> None:
    whole = respond(served, seed=11, max_output_tokens=20)
    found = stream(served, seed=11, max_output_tokens=20)
    assert kinds(found) == [*MESSAGE, "incomplete"]
    last = found[-1]["response"]
    assert texts(last) == texts(whole)
    assert last["usage"] == whole["usage"]
    deltas = [each["delta"] for each in found if each["type"] == "response.output_text.delta"]
    assert len(deltas) == 20, "one event for each token"
    assert "".join(deltas) == texts(whole)[0]
    assert found[0]["response"]["status"] == "in_progress"


def test_a_complete_answer(caller: tuple[Served, SayingEngine]) -> None:
    served, engine = caller
    engine.says("x</think>\n\nHello.")
    found = stream(served)
    assert found[-1]["type"] == "response.completed"
    assert found[-1]["response"]["status"] == "completed"


def test_reasoning_text_and_calls_are_items(caller: tuple[Served, SayingEngine]) -> None:
    served, engine = caller
    engine.says(f"Which city?\n</think>\n\nLet me see.{CALL}")
    found = stream(served, tools=[TOOL])
    reasoning = [*MESSAGE[2:4], "reasoning_text.delta", "reasoning_text.done", *MESSAGE[6:]]
    call = [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert kinds(found) == [*MESSAGE[:2], *reasoning, *MESSAGE[2:], *call, "completed"]
    output = found[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call"]
    assert output[0]["content"][0]["text"] == "Which city?"
    assert json.loads(output[2]["arguments"]) == {"city": "Rome", "days": 2}
    assert output[2]["call_id"].startswith("call_")
    done = [each["item"] for each in found if each["type"] == "response.output_item.done"]
    assert done == output
    assert found[-1]["response"]["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    assert kinds_of(respond(served, tools=[TOOL])) == kinds_of(found[-1]["response"])


def kinds_of(response: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["type"], item["status"]) for item in response["output"]]


def test_a_call_that_is_cut_says_so(caller: tuple[Served, SayingEngine]) -> None:
    served, engine = caller
    engine.says(f"</think>{CALL}")
    found = respond(served, tools=[TOOL], max_output_tokens=70)
    assert found["status"] == "incomplete"
    assert kinds_of(found) == [("function_call", "incomplete")]


def test_an_empty_reply_is_an_empty_message(caller: tuple[Served, SayingEngine]) -> None:
    served, engine = caller
    engine.says("</think>")
    assert texts(respond(served)) == [""]


def test_a_tool_that_must_be_called(caller: tuple[Served, SayingEngine]) -> None:
    served, engine = caller
    engine.says(f"</think>\n\n{CALL}")
    choice = {"type": "function", "name": "weather"}
    found = respond(served, tools=[TOOL], tool_choice=choice)
    assert found["tool_choice"] == choice
    assert kinds_of(found)[-1] == ("function_call", "completed")


def test_log_probabilities_are_those_of_the_text(served: Served) -> None:
    found = stream(
        served,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
        seed=3,
        max_output_tokens=6,
    )
    deltas = [each for each in found if each["type"] == "response.output_text.delta"]
    named = [scored for each in deltas for scored in each["logprobs"]]
    assert "".join(each["token"] for each in named) == "".join(each["delta"] for each in deltas)
    assert all(len(each["top_logprobs"]) == 2 for each in named)
    (item,) = found[-1]["response"]["output"]
    assert item["content"][0]["logprobs"] == named


def test_chunks_join_deltas_and_keep_their_numbers() -> None:
    with serving(settings={"streaming_chunks": 4}) as joined:
        response = send(joined, stream=True, seed=11, max_output_tokens=20)
        numbers = [line for line in response.text.splitlines() if line.startswith("id: ")]
    assert numbers == [f"id: {each}" for each in (0, 1, 2, 3, 7, 11, 15, 19, 23, 24, 25, 26, 27)]


def delta(text: str) -> Event:
    return OutputTextDelta(output_index=0, item_id="msg_1", delta=text)


def test_numbers_do_not_depend_on_chunks() -> None:
    single, joins = Numbers(-1), Numbers(1, joins=True)
    for text in "abc":
        single.encode([delta(text)])
    assert joins.encode([delta("a")], more=True) == b""
    assert joins.encode([delta("b")], more=True) == b""
    rest = joins.encode([delta("c"), delta("d")])
    assert (single.last, joins.last) == (2, 3)
    assert b'"delta":"cd"' in rest
    assert rest.startswith(b"id: 3\n")


def test_a_receipt(served: Served) -> None:
    found = parsed(send(served, receipt=True, max_output_tokens=3))
    assert found["receipt"]["replies"][0]["tokens"] == 3


def test_input_tokens_are_counted(served: Served) -> None:
    answer = served.post("/v1/responses/input_tokens", model="scripted", input="Hello")
    assert answer.get_json() == {
        "object": "response.input_tokens",
        "input_tokens": len("user: Hello\nassistant:"),
    }
    wrong = {"model": "scripted", "input": "Hello", "stop_token_ids": [1_000_000]}
    answer = served.post("/v1/responses/input_tokens", **wrong)
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, "stop_token_ids")


def test_answers_and_events_fit_the_documents(served: Served) -> None:
    document = served.client.get("/openapi.json").get_json()
    body = {"receipt": True, "max_output_tokens": 3, "metadata": {"a": "b"}}
    found = {"ResponseObject": [respond(served, **body)]}
    for event in stream(served, **body):
        name = "".join(word.title() for word in re.split("[._]", event["type"]))
        found.setdefault(_SCHEMAS.get(name, name), []).append(event)
    for name, values in found.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        for value in values:
            jsonschema_rs.validate(schema, value)


_SCHEMAS = {
    "ResponseOutputItemAdded": "ItemAdded",
    "ResponseOutputItemDone": "ItemDone",
    "ResponseContentPartAdded": "PartAdded",
    "ResponseContentPartDone": "PartDone",
    "ResponseOutputTextDelta": "OutputTextDelta",
    "ResponseOutputTextDone": "TextDone",
}


def test_a_base_url_may_lack_v1(served: Served) -> None:
    answer = served.post(
        "/responses", model="scripted", input="Hello", stream=True, max_output_tokens=2
    )
    assert events(answer)
