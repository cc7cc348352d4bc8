"""POST /v1/messages and count_tokens: messages whole and streamed, their errors, the models.

Covers `api/anthropic`, `anthropic/body`, `anthropic/errors`, `anthropic/models`,
`anthropic/openapi`, `anthropic/stream`, `anthropic/types`, `anthropic/view`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from backend.driven import RecordedEngine
from rowcast.backend.decode_backend import Limits
from rowcast.errors import DeadlinePassed, NotReady, Overloaded
from rowcast.frontend.api.anthropic.errors import error_body, error_event
from rowcast.text.chat.template import ChatTemplate

from ...serving import Served, lasting_seed, serving, spoken
from ..openai.saying import SayingEngine
from ..openai.thinking import ITSELF
from .sending import (
    BODY,
    COUNT,
    HELLO,
    MESSAGES,
    accumulated,
    events,
    refusal,
    refused,
    send,
    split,
    without_ids,
)

PROMPT = "user: Hello\nassistant:"  # as the plain template writes it
VERSIONED = {"anthropic-version": "2023-06-01"}


@pytest.fixture(scope="module")
def talker() -> Iterator[tuple[Served, SayingEngine]]:
    """A server whose replies the test sets; its template knows tools and reasoning."""
    engine = SayingEngine("")
    with serving(engine=engine, chat=ChatTemplate(ITSELF)) as served:
        yield served, engine


Talker = tuple[Served, SayingEngine]


def test_a_message_is_the_reply_with_its_true_usage(served: Served) -> None:
    response = served.post(MESSAGES, **BODY | {"max_tokens": 5})
    message = response.get_json()
    assert message.pop("id").startswith("msg_")
    assert message == {
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [{"type": "text", "text": spoken(PROMPT, 3, 5)}],
        "stop_reason": "max_tokens",
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(PROMPT),
            "output_tokens": 5,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }
    assert response.headers["X-Rowcast-Seed"] == "3"
    assert response.headers["request-id"] == response.headers["X-Request-ID"]


def test_a_stream_makes_the_same_message(served: Served) -> None:
    found = events(served)
    assert without_ids(accumulated(found)) == without_ids(send(served))
    start = found[0]["message"]["usage"]
    assert (start["input_tokens"], start["output_tokens"]) == (len(PROMPT), 0)
    assert found[1] == {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "text", "text": ""},
    }


def test_pings_have_no_place(served: Served) -> None:
    response = served.post(MESSAGES, **BODY, stream=True)
    assert '\n\nevent: ping\ndata: {"type":"ping"}\n\nid: ' in response.text
    with serving(
        engine=RecordedEngine(step_seconds=0.02), settings={"comment_seconds": 0.001}
    ) as slow:
        text = slow.post(MESSAGES, **BODY, stream=True).text
        assert text.count("event: ping") > 2
        assert ": waiting" not in text
        pinged, calm = ([each for _, each in split(text)] for text in (text, response.text))
        assert without_ids(accumulated(pinged)) == without_ids(accumulated(calm))


def test_a_model_that_ends_has_ended_its_turn(talker: Talker) -> None:
    served, engine = talker
    engine.says("Well.")
    message = send(served)
    assert (message["stop_reason"], message["content"][0]["text"]) == ("end_turn", "Well.")


@pytest.mark.parametrize("name", ["stop_sequences", "stop"])
def test_the_stop_sequence_that_occurred_is_named(talker: Talker, name: str) -> None:
    served, engine = talker
    engine.says("One, two; three.")
    asked = {name: ["three", ";", "two;"]}
    message = send(served, **asked)
    assert message["content"] == [{"type": "text", "text": "One, "}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "two;")
    assert accumulated(events(served, **asked))["stop_sequence"] == "two;"


def test_a_full_context_is_not_the_maximum_that_was_sent() -> None:
    with serving(engine=RecordedEngine(context_length=32)) as served:
        seed = lasting_seed(PROMPT, 20)
        message = send(served, max_tokens=500, seed=seed)
        assert message["stop_reason"] == "model_context_window_exceeded"
        assert message["usage"]["output_tokens"] == 32 - len(PROMPT)


def test_reasoning_is_a_block_with_a_signature(talker: Talker) -> None:
    served, engine = talker
    engine.says("<think>\nA greeting.\n</think>\n\nHello to you.")
    asked = {"max_tokens": 100, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    message = send(served, **asked)
    thought, text = message["content"]
    assert (thought["type"], thought["thinking"]) == ("thinking", "A greeting.")
    assert len(thought["signature"]) == 64
    assert text == {"type": "text", "text": "Hello to you."}
    assert message["usage"]["output_tokens_details"]["thinking_tokens"] > 10
    assert without_ids(accumulated(events(served, **asked))) == without_ids(message)
    response = served.post(MESSAGES, **BODY | asked)
    assert response.headers["X-Rowcast-Unenforced"] == "thinking.budget_tokens"


def test_the_text_of_reasoning_may_be_omitted(talker: Talker) -> None:
    served, engine = talker
    engine.says("<think>\nA greeting.\n</think>\n\nHello to you.")
    shown = send(served, max_tokens=100)["content"]
    asked = {"max_tokens": 100, "thinking": {"type": "adaptive", "display": "omitted"}}
    hidden = send(served, **asked)["content"]
    assert hidden == [{**shown[0], "thinking": ""}, shown[1]]


def test_thinking_is_the_switch_of_the_template(talker: Talker) -> None:
    served, engine = talker
    engine.says("Hello.")
    configs: list[Any] = [{"type": "disabled"}, {"type": "enabled"}, {"type": "adaptive"}, None]
    disabled, *others = (send(served, thinking=each)["usage"]["input_tokens"] for each in configs)
    assert {disabled - each for each in others} == {len("<think>\n\n</think>\n\n")}


def test_sampling_fields_are_those_of_openais_dialect(served: Served) -> None:
    plain = send(served)
    greedy = send(served, temperature=0, top_k=40, top_p=0.9, min_p=0.1, logit_bias={"5": -100})
    assert greedy["usage"]["input_tokens"] == plain["usage"]["input_tokens"]
    assert "temperature is invalid" in refused(served, temperature=2.5)


def test_what_has_no_effect_is_accepted(served: Served) -> None:
    more = {
        "metadata": {"user_id": "user-1"},
        "service_tier": "auto",
        "cache_control": {"type": "ephemeral"},
        "context_management": {"edits": []},
        "output_config": {"effort": "low"},
        "speed": "standard",
        "user": "me",
    }
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    headers = {**VERSIONED, "anthropic-beta": "a-1,b-2"}
    response = served.client.post(
        f"{MESSAGES}?beta=true",
        json=BODY | more | {"system": system},
        headers=headers,
        buffered=True,
    )
    wanted = send(served, system="Be brief.")
    assert without_ids(response.get_json()) == without_ids(wanted)


def test_json_of_a_schema(served: Served) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"enum": [1, 2]}},
        "required": ["n"],
        "additionalProperties": False,
    }
    asked: dict[str, Any]
    asked = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    message = send(served, max_tokens=400, **asked)
    assert json.loads(message["content"][0]["text"])["n"] in {1, 2}
    schema["type"] = "nonsense"
    problem = refused(served, **asked)
    assert problem.startswith("output_config.format.schema cannot be followed")


def test_a_receipt_of_the_reply(served: Served) -> None:
    (reply,) = send(served, receipt=True)["receipt"]["replies"]
    assert reply["tokens"] == send(served)["usage"]["output_tokens"]
    assert events(served, receipt=True)[-2]["receipt"]["replies"] == [reply]


def test_the_count_is_that_of_the_same_message(talker: Talker) -> None:
    served, engine = talker
    engine.says("Hello.")
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    for more in (
        {},
        {"system": "Be brief."},
        {"tools": tools},
        {"tools": tools, "tool_choice": {"type": "none"}},
        {"thinking": {"type": "disabled"}},
        {"messages": [*HELLO, {"role": "assistant", "content": "Well"}]},
    ):
        asked = {"model": "scripted", "messages": HELLO} | more
        counted = served.post(COUNT, **asked)
        assert counted.get_json() == {
            "input_tokens": send(served, **asked)["usage"]["input_tokens"]
        }


def test_a_count_refuses_what_the_message_would_be_refused_for(served: Served) -> None:
    for path in (MESSAGES, COUNT):
        response = served.post(path, **BODY | {"stop_token_ids": [10**6]})
        assert refusal(response)["message"].startswith("stop_token_ids contains a token id")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"max_tokens": None}, "max_tokens is invalid"),
        ({"messages": []}, "messages is invalid"),
        ({"messages": [{"role": "robot", "content": ""}]}, "messages[0].role is invalid"),
        ({"system": [{"text": "a"}]}, "system[0].type is missing"),
        ({"output_config": {"format": {"schema": {}}}}, "output_config.format.type is missing"),
        ({"mesages": []}, "mesages is not a known argument; did you mean messages?"),
        ({"n": 2}, "n is 2; a message has one reply"),
        ({"stop": "a", "stop_sequences": ["b"]}, "stop is another name of stop_sequences"),
        (
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            "messages[0].content[0]",
        ),
    ],
)
def test_errors_name_the_field(served: Served, changed: dict[str, Any], problem: str) -> None:
    assert problem in refused(served, **changed)


def test_what_is_required_is_named(served: Served) -> None:
    for name in ("model", "messages", "max_tokens"):
        body = {key: value for key, value in BODY.items() if key != name}
        error = refusal(served.post(MESSAGES, **body))
        assert error == {"type": "invalid_request_error", "message": f"{name} is missing"}


def test_errors_have_anthropics_types(served: Served) -> None:
    unknown = served.post(MESSAGES, **BODY | {"model": "nothing"})
    assert refusal(unknown, 404)["type"] == "not_found_error"
    assert refusal(served.client.get(MESSAGES), 405)["type"] == "invalid_request_error"
    batches = served.client.post("/v1/messages/batches", json={}, buffered=True)
    assert refusal(batches, 404)["type"] == "not_found_error"
    for status, error, kind in (
        (401, None, "authentication_error"),
        (403, None, "permission_error"),
        (413, None, "request_too_large"),
        (429, None, "rate_limit_error"),
        (500, None, "api_error"),
        (503, NotReady("gone"), "api_error"),
        (503, Overloaded("full"), "overloaded_error"),
        (504, DeadlinePassed("late"), "timeout_error"),
    ):
        assert error_body(status, "text", error)["error"] == {"type": kind, "message": "text"}


def test_a_stored_conversation_is_refused_as_tool_runners_expect(served: Served) -> None:
    response = served.post(MESSAGES, **BODY | {"thread": {"type": "create"}})
    error = response.get_json()["error"]
    assert response.status_code == 400
    assert error["details"] == {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }
    assert send(served, thread=None)["type"] == "message"


def test_a_full_line_is_529(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise Overloaded("4 prompts are waiting", retry_after=7)

    monkeypatch.setattr(type(served.frontend), "check_room", full)
    response = served.post(MESSAGES, **BODY)
    assert refusal(response, 529)["type"] == "overloaded_error"
    assert response.headers["Retry-After"] == "7"


def test_a_stream_that_fails_has_an_error_and_no_end() -> None:
    seed = lasting_seed(PROMPT, 2000)
    engine, limits = RecordedEngine(step_seconds=0.02), Limits(reply_seconds=0.1)
    with serving(engine=engine, limits=limits) as hasty:
        asked = BODY | {"seed": seed, "max_tokens": 2000}
        found = split(hasty.post(MESSAGES, **asked, stream=True).text)
        names = [event["type"] for _, event in found]
        assert names[-1] == "error"
        assert not {"message_delta", "message_stop"} & set(names)
        assert found[-1][1]["error"]["type"] == "api_error"
        assert error_event(500, "x").startswith(b"event: error\ndata: ")
        response = hasty.post(MESSAGES, **asked)
        assert refusal(response, 500)["type"] == "api_error"
        assert response.headers["X-Should-Retry"] == "false"


def test_models_have_the_form_of_their_reader(served: Served) -> None:
    listed = served.client.get("/v1/models", headers=VERSIONED).get_json()
    (model,) = listed.pop("data")
    assert listed == {"has_more": False, "first_id": "scripted", "last_id": "scripted"}
    assert (model["type"], model["id"], model["display_name"]) == ("model", "scripted", "scripted")
    assert model["created_at"].endswith("Z")
    one = served.client.get("/v1/models/scripted", headers=VERSIONED).get_json()
    assert one == model
    assert served.client.get("/v1/models").get_json()["object"] == "list"
    assert served.client.get("/v1/models/scripted").get_json()["object"] == "model"
    unknown = served.client.get("/v1/models/nothing", headers=VERSIONED)
    assert refusal(unknown, 404)["type"] == "not_found_error"
    assert "code" in served.client.get("/v1/models/nothing").get_json()["error"]
