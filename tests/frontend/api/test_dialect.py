"""Dialects without a web framework: called directly, resumed, and added by one line.

Covers `frontend/api`, `operation`, `frontend/response`, `frontend/request/request`, `origin`.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, has_app_context, jsonify
from werkzeug.datastructures import Headers
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map

from rowcast.errors import InvalidField, UnknownModel
from rowcast.frontend.api import DIALECTS, native
from rowcast.frontend.api.dialect import Api, Dialect, MatchedRule, Route
from rowcast.frontend.api.events import streamed
from rowcast.frontend.api.openai.chat import chat
from rowcast.frontend.api.openai.completions import completions
from rowcast.frontend.api.operation import PLAIN, Operation
from rowcast.frontend.app import create_app
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Body, Request
from rowcast.frontend.response import Response, json_response
from rowcast.sampling_params import SamplingParams

from ..serving import SECRET, Served, serving, spoken

HELLO: dict[str, Any] = {"max_tokens": 9, "seed": 7}
CHAT = HELLO | {"model": "scripted", "messages": [{"role": "user", "content": "Hello"}]}
TEXT = HELLO | {"model": "scripted", "prompt": "Hello"}


@pytest.fixture(autouse=True)
def no_context() -> None:
    assert not has_app_context()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Served]:
    """A server that keeps streams."""
    with serving(journal=tmp_path / "journal.db") as made:
        yield made


def sent(path: str, **body: Any) -> Request:
    """Return a request made in this process."""
    return Request(path=path, body=Body(json.dumps(body).encode))


def bytes_of(response: Response) -> bytes:
    """Read a response to its end."""
    try:
        return response.body if isinstance(response.body, bytes) else b"".join(response.body)
    finally:
        response.close()


def test_a_native_inference_is_a_function(served: Served) -> None:
    response = native.inference(served.frontend, sent("/", text="Hello", **HELLO))
    assert response.status == 200
    assert response.headers["X-Rowcast-Seed"] == "7"
    assert bytes_of(response).decode() == spoken("Hello", 7, 9)


def test_a_native_inference_takes_its_model_from_the_path(served: Served) -> None:
    with pytest.raises(UnknownModel, match="no model 'other' here"):
        api(served).answer(sent("/inference/other", text="Hello"))


def test_a_completion_is_a_function(served: Served) -> None:
    answer = json.loads(bytes_of(completions(served.frontend, sent("/v1/completions", **TEXT))))
    assert answer["choices"][0]["text"] == spoken("Hello", 7, 9)


def test_a_chat_is_a_function_and_streams(served: Served) -> None:
    events = bytes_of(chat(served.frontend, sent("/v1/chat/completions", **CHAT, stream=True)))
    assert events.endswith(b"data: [DONE]\n\n")
    whole = json.loads(bytes_of(chat(served.frontend, sent("/v1/chat/completions", **CHAT))))
    assert contents(events) == whole["choices"][0]["message"]["content"]


def test_its_errors_are_exceptions(served: Served) -> None:
    with pytest.raises(UnknownModel):
        chat(served.frontend, sent("/v1/chat/completions", **CHAT | {"model": "other"}))
    with pytest.raises(InvalidField):
        completions(served.frontend, sent("/v1/completions", **TEXT | {"top_p": 3}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "body"),
    [("/inference/scripted", HELLO | {"text": "Hello"}), ("/v1/completions", TEXT)],
)
def test_a_stream_is_resumed_without_a_web_framework(
    kept: Served, path: str, body: dict[str, Any]
) -> None:
    first = sent(path, **body, stream=True)
    told = bytes_of(api(kept).answer(first))
    stream = f"/v1/streams/{first.response_headers['X-Stream-ID']}"
    for begin in ("", "5" if path.startswith("/inf") else ""):
        again = Request(
            method="GET", path=stream, body=Body(bytes), query={"from": begin} if begin else {}
        )
        rest = bytes_of(api(kept).answer(again))
        if path.startswith("/inference"):
            assert rest == told[int(begin or 0) :]
        else:
            assert texts(rest) == texts(told)
        assert again.response_headers["X-Stream-ID"] == first.response_headers["X-Stream-ID"]


@pytest.mark.slow
def test_the_recorded_request_is_sent_again_by_the_new_client(kept: Served) -> None:
    first = sent("/v1/completions", **TEXT, stream=True)
    bytes_of(api(kept).answer(first))
    name = first.response_headers["X-Stream-ID"]
    record = kept.frontend.journal.find(name, "")
    reader = Request(
        method="GET", path=f"/v1/streams/{name}", body=Body(bytes), id="mine", began=3.0
    )
    again = reader.again(record, "5")
    assert (again.method, again.path, again.body.read()) == ("POST", first.path, first.body.read())
    assert (again.id, again.began, again.watch) == ("mine", 3.0, reader.watch)
    assert (again.origin().seed, again.origin().start) == (record.seed, "5")


def test_a_body_is_read_when_it_is_needed_and_once() -> None:
    reads: list[bytes] = []

    def read() -> bytes:
        reads.append(b"{}")
        return reads[-1]

    request = Request(path="/", body=Body(read))
    assert not reads
    assert request.body.json() == request.body.json() == {}
    assert len(reads) == 1


def test_the_origin_of_a_request_with_a_key_is_always_the_same() -> None:
    request = Request(path="/", body=Body(bytes), headers=Headers({"Idempotency-Key": "one"}))
    assert request.origin().seed == request.origin().seed
    with pytest.raises(InvalidField):
        Request(
            path="/", body=Body(bytes), headers=Headers({"Idempotency-Key": "not one"})
        ).origin()


def test_json_answers_have_the_bytes_of_flasks() -> None:
    app = Flask("any")
    for data in ({"b": 1, "a": ["é", "\n", None, 1.5]}, {"\ud83d": "😀"}, {}):
        with app.app_context():
            theirs = jsonify(data)
        ours = json_response(data)
        assert (ours.body, ours.headers["Content-Type"]) == (
            theirs.get_data(),
            theirs.headers["Content-Type"],
        )


# ----- a toy dialect: one function, one line


def shout(frontend: Frontend, request: Request) -> Response:
    """Continue the words in the path, as plain text."""
    model = frontend.model(request.query.get("model"), request)
    prompt = Prompt(
        tokens=model.encode(request, request.names["words"]),
        params=SamplingParams(max_tokens=9),
        seed=7,
        dialect="toy",
    )
    reply = model.open(request, request.origin(), prompt)
    return streamed(reply, (each.upper().encode() for each in reply.pieces()), PLAIN, 7)


def routes(_: Api) -> Iterable[Route]:
    return [Route("POST", "/toy/<words>", shout)]


TOY = Dialect(
    routes=routes,
    operations=(
        Operation(
            method="post",
            path="/toy/{words}",
            tag="toy",
            summary="Words continued loudly",
            answers={PLAIN: {"type": "string"}},
            error={"type": "object", "required": ["oops"]},
            replies=True,
        ),
    ),
    error_body=lambda status, message, _: {"oops": f"{status} {message}"},
    prefixes=("/toy/",),
)


@pytest.mark.slow
def test_a_dialect_is_added_by_one_line(served: Served) -> None:
    client = create_app(served.frontend, (*DIALECTS, TOY)).test_client()
    client.environ_base["HTTP_X_ROWCAST_PROXY_SECRET"] = SECRET
    answer = client.post("/toy/Hello", buffered=True)
    assert answer.text == spoken("Hello", 7, 9).upper()
    assert answer.headers["X-Rowcast-Seed"] == "7"
    refused = client.post("/toy/Hello?model=other")
    assert (refused.status_code, set(refused.get_json())) == (404, {"oops"})
    wrong = client.get("/toy/Hello")
    assert (wrong.status_code, set(wrong.get_json())) == (405, {"oops"})
    assert "/toy/{words}" in client.get("/openapi.json").get_json()["paths"]
    assert "/toy/{words}" not in served.client.get("/openapi.json").get_json()["paths"]


def api(served: Served) -> Api:
    return Api(served.frontend, DIALECTS)


def contents(events: bytes) -> str:
    """Return the text of a chat's events."""
    return "".join(
        choice["delta"].get("content", "") for each in data(events) for choice in each["choices"]
    )


def texts(events: bytes) -> str:
    """Return the text of a completion's events."""
    return "".join(choice["text"] for each in data(events) for choice in each["choices"])


def data(events: bytes) -> list[dict[str, Any]]:
    lines = events.decode().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def test_an_unknown_path_is_no_function(served: Served) -> None:
    with pytest.raises(NotFound):
        api(served).answer(sent("/nowhere"))


def test_routes_are_matched_and_no_urls_are_built_of_them() -> None:
    rules = Map([MatchedRule("/<name>/end", endpoint="a")]).bind("localhost")
    assert rules.match("/b/end") == ("a", {"name": "b"})
    with pytest.raises(NotImplementedError, match="builds no URLs"):
        rules.build("a", {"name": "b"})
