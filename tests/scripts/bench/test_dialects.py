"""Each dialect's requests, and how it reads pieces, counts and ends.

Covers `dialects/chat`, `dialects/dialect`, `event_reader`, `dialects/generate`,
`dialects/messages`, `dialects/native`, `dialects/openai`, `openai_chat`, `dialects/responses`,
`http_client/events`.
"""

from __future__ import annotations

import pytest

from commands.bench.dialects import DIALECTS
from commands.bench.dialects.dialect import Reader
from commands.bench.load.requests import Request

ASK = Request(index=3, prompt="say", seed=9, max_tokens=5)
UNSEEDED = Request(index=3, prompt="say", seed=None, max_tokens=5)


def read(dialect: str, *parts: str) -> Reader:
    reader = DIALECTS[dialect].reader()
    for part in parts:
        reader.feed([part.encode()])
    return reader


@pytest.mark.parametrize(
    ("dialect", "path", "prompt"),
    [
        ("native", "/predictions/m", {"text": "say"}),
        ("chat", "/chat/m", {"text": "say"}),
        ("generate", "/generate", {"prompt": "say", "model": "m", "stream": True}),
        ("openai", "/v1/completions", {"prompt": "say"}),
        ("openai-chat", "/v1/chat/completions", {"messages": [{"role": "user", "content": "say"}]}),
        ("messages", "/v1/messages", {"messages": [{"role": "user", "content": "say"}]}),
    ],
)
def test_request(dialect: str, path: str, prompt: dict[str, object]) -> None:
    speaks = DIALECTS[dialect]
    body = speaks.body(ASK, "m", echo=False)
    assert speaks.path("m") == path
    assert {**body, **prompt, "max_tokens": 5, "seed": 9} == body
    assert "seed" not in speaks.body(UNSEEDED, "m", echo=False)
    if dialect.startswith("openai"):
        assert {**body, "model": "m", "stream": True} == body
        assert body["stream_options"] == {"include_usage": True}


def test_tgi_requests_details() -> None:
    body = DIALECTS["tgi"].body(ASK, "m", echo=False)
    assert DIALECTS["tgi"].path("m") == "/generate_stream"
    wanted = {"max_new_tokens": 5, "details": True}
    assert body == {"inputs": "say", "parameters": {**wanted, "seed": 9}}
    assert DIALECTS["tgi"].body(UNSEEDED, "m", echo=False)["parameters"] == wanted


def test_pieces_of_generate_survive_any_cut() -> None:
    stream = '{"text":["say é"],"error":0}\0{"text":["say éb"],"error":0}\0'.encode()
    for cut in range(len(stream)):
        reader = DIALECTS["generate"].reader()
        reader.prompt = "say"
        reader.feed([stream[:cut]])
        reader.feed([stream[cut:]])
        assert reader.close() is None
        assert [each.decode() for each in reader.text] == [" é", "b"]


@pytest.mark.parametrize(
    ("stream", "failure"),
    [
        ('{"text":["say a"],"error":0}', "half a piece"),
        ('{"text":["say a"],"error":500}\0', "error 500"),
        ('{"text":["sap a"],"error":0}\0', "a piece that does not continue"),
        ('{"text":[],"error":0}\0', "a piece that is not JSON"),
        ("nonsense\0", "a piece that is not JSON"),
    ],
)
def test_generate_failures(stream: str, failure: str) -> None:
    reader = DIALECTS["generate"].reader()
    reader.prompt = "say"
    reader.feed([stream.encode()])
    assert (reader.close() or "").startswith(failure)


TGI_END = (
    'data: {"index": 2, "token": {"id": 3, "text": "b"}, "generated_text": "ab", "details": '
    '{"finish_reason": "eos_token", "generated_tokens": 2, "input_length": 3}}\n\n'
)


def test_tgi_events() -> None:
    first = 'data: {"index": 1, "token": {"id": 2, "text": "a"}, "details": null}\n\n'
    reader = read("tgi", "id: 1\n", first, TGI_END)
    assert reader.close() is None
    assert (reader.text, reader.finish_reason) == ([b"a", b"b"], "stop")
    assert (reader.prompt_tokens, reader.completion_tokens) == (3, 2)
    assert read("tgi", first).close() == "no end event"
    failed = read("tgi", first, 'data: {"error": "lost", "error_type": "generation"}\n\n')
    assert (failed.close() or "").startswith("error event: lost")


MESSAGE = (
    "event: message_start\n"
    'data: {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}\n\n'
    'event: ping\ndata: {"type": "ping"}\n\n'
    'id: 2\nevent: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, '
    '"delta": {"type": "text_delta", "text": "é"}}\n\n'
)
MESSAGE_END = (
    'event: message_delta\ndata: {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, '
    '"usage": {"output_tokens": 2}}\n\nevent: message_stop\ndata: {"type": "message_stop"}\n\n'
)


def test_events_of_a_message() -> None:
    reader = read("messages", MESSAGE, MESSAGE_END)
    assert reader.close() is None
    assert (reader.text, reader.finish_reason) == (["é".encode()], "length")
    assert (reader.prompt_tokens, reader.completion_tokens) == (3, 2)
    assert read("messages", MESSAGE).close() == "no end event"
    failed = 'event: error\ndata: {"type": "error", "error": {"type": "api_error"}}\n\n'
    assert (read("messages", MESSAGE, failed).close() or "").startswith("error event:")
    other = read("messages", 'event: ping\ndata: {"type": "pong"}\n\n')
    assert (other.close() or "").startswith("an event 'ping' of another type")


def test_native_can_ask_for_its_prompt() -> None:
    assert DIALECTS["native"].body(ASK, "m", echo=True)["return_prompt"] is True


def test_native_pieces_are_chunks() -> None:
    reader = DIALECTS["native"].reader()
    reader.feed([b" bada", "é".encode()])
    reader.feed([b"!"])
    assert (reader.text, reader.pieces) == ([b" bada", "é".encode(), b"!"], 3)
    assert reader.close() is None


CHAT_END = (
    'event: end\ndata: {"finish_reason": "length", "prompt_tokens": 3, '
    '"completion_tokens": 2, "seed": 9}\n\n'
)
CHAT = ': waiting\nid: 0\ndata: {"text": " é"}\n\nid: 4r\ndata: {"text": "b"}\n\n' + CHAT_END


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_chat_survives_any_cut(line_end: str) -> None:
    stream = CHAT.replace("\n", line_end).encode()
    for cut in range(len(stream)):
        reader = DIALECTS["chat"].reader()
        reader.feed([stream[:cut]])
        reader.feed([stream[cut:]])
        assert reader.close() is None
        assert b"".join(reader.text).decode() == " éb"
        assert (reader.pieces, reader.finish_reason) == (2, "length")
        assert (reader.prompt_tokens, reader.completion_tokens) == (3, 2)


@pytest.mark.parametrize(
    ("stream", "failure"),
    [
        ('data: {"text": "a"}\n\n', "no end event"),
        ('data: {"text": "a"}\n\n' + CHAT_END.rstrip("\n"), "no end event"),
        ('event: error\ndata: {"status_code": 500, "message": "lost"}\n\n', "error event: lost"),
        ("id: 1\n" + 'data: {"text": "a"}\n\n' * 1 + 'id: 1\ndata: {"text": ""}\n\n', "event id"),
        (CHAT_END + 'data: {"text": "a"}\n\n', "an event after the end event"),
        ("data: nonsense\n\n" + CHAT_END, "an event without a JSON object"),
        ('data: {"txt": "a"}\n\n' + CHAT_END, "a piece without text"),
        ('event: what\ndata: {"text": "a"}\n\n' + CHAT_END, "an unknown event"),
    ],
)
def test_chat_failures(stream: str, failure: str) -> None:
    assert (read("chat", stream).close() or "").startswith(failure)


def test_chat_refuses_what_is_not_utf8() -> None:
    reader = DIALECTS["chat"].reader()
    reader.feed([b'data: {"text": "\xff"}\n\n', CHAT_END.encode()])
    assert reader.close() == "an event that is not UTF-8"


USAGE = 'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 7}}\n\n'
DONE = "data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("dialect", "events"),
    [
        (
            "openai",
            (
                'data: {"choices": [{"text": "a", "finish_reason": null}], "usage": null}\n\n'
                'data: {"choices": [{"text": "b", "finish_reason": "stop"}]}\n\n'
            ),
        ),
        (
            "openai-chat",
            (
                'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
                'data: {"choices": [{"delta": {"reasoning_content": "a", "content": null}}]}\n\n'
                'data: {"choices": [{"delta": {"content": "b"}}]}\n\n'
                'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
            ),
        ),
    ],
)
def test_openai_events(dialect: str, events: str) -> None:
    reader = read(dialect, events, USAGE, DONE)
    assert reader.close() is None
    assert (reader.text, reader.finish_reason) == ([b"a", b"b"], "stop")
    assert (reader.prompt_tokens, reader.completion_tokens) == (3, 7)


@pytest.mark.parametrize("dialect", ["openai", "openai-chat"])
def test_openai_failures(dialect: str) -> None:
    assert read(dialect, USAGE).close() == "no end event"
    failed = read(dialect, 'data: {"error": {"message": "lost"}}\n\n', DONE)
    assert (failed.close() or "").startswith("error event: {'message': 'lost'}")


def test_responses_request() -> None:
    body = DIALECTS["responses"].body(ASK, "m", echo=False)
    assert DIALECTS["responses"].path("m") == "/v1/responses"
    assert body == {
        "model": "m",
        "input": "say",
        "max_output_tokens": 5,
        "stream": True,
        "seed": 9,
    }
    assert "seed" not in DIALECTS["responses"].body(UNSEEDED, "m", echo=False)


USED = '{"usage":{"input_tokens":3,"output_tokens":2}}'


def response_event(number: int, name: str, rest: str) -> str:
    return f'event: {name}\ndata: {{"sequence_number":{number},{rest}}}\n\n'


def test_responses_are_read() -> None:
    reader = read(
        "responses",
        response_event(0, "response.created", '"response":{}'),
        response_event(1, "response.output_text.delta", '"delta":"a"'),
        response_event(2, "response.output_text.delta", '"delta":"b"'),
        response_event(3, "response.incomplete", f'"response":{USED}'),
    )
    assert reader.close() is None
    assert (b"".join(reader.text), reader.pieces) == (b"ab", 2)
    assert (reader.prompt_tokens, reader.completion_tokens) == (3, 2)
    assert reader.finish_reason == "length"


@pytest.mark.parametrize(
    "events",
    [
        response_event(0, "response.created", '"response":{}'),
        response_event(1, "response.completed", '"response":{}') * 2,
        response_event(0, "response.failed", '"response":{}'),
        response_event(0, "error", '"message":"no"'),
    ],
)
def test_responses_without_one_true_end(events: str) -> None:
    assert read("responses", events).close()
