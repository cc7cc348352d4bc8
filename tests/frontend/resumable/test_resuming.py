"""Streams resumed at any event, in every dialect, from the journal's record.

Covers `frontend/api/streams`, `disk_journal`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from backend.driven import RecordedEngine
from processes import until
from rowcast.frontend.resumable.journal_client import Job
from rowcast.frontend.resumable.sync import CANCELLED, TAKEN
from rowcast.journal.journal import Journal
from rowcast.text.chat.template import ChatTemplate

from ..api.openai.saying import SayingEngine
from ..api.openai.test_tools import BARE, TAGGED, TOOLS
from ..api.openai.thinking import ITSELF, OPENED
from ..serving import SECRET, Served, journal_of, lasting_seed, serving, spoken

pytestmark = pytest.mark.slow

CHAT: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": "größer 😀"}]}
TEXT: dict[str, Any] = {"model": "scripted", "prompt": "größer 😀", "max_tokens": 24}
USAGE = {"stream_options": {"include_usage": True}}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "native": ("/chat/scripted", {"text": "größer 😀", "max_tokens": 40, "return_prompt": True}),
    "native-stop": ("/chat/scripted", {"text": "größer 😀", "stop_sequence": "ba", "seed": 3}),
    "native-receipt": ("/chat/scripted", {"text": "größer 😀", "receipt": True}),
    "native-unseeded": ("/chat/scripted", {"text": "größer 😀"}),
    "chat": ("/v1/chat/completions", {**CHAT, "max_tokens": 30, "seed": 3, **USAGE}),
    "chat-n": ("/v1/chat/completions", {**CHAT, "max_tokens": 12, "n": 3, **USAGE}),
    "chat-logprobs": (
        "/v1/chat/completions",
        {**CHAT, "max_tokens": 12, "logprobs": True, "top_logprobs": 2},
    ),
    "completions": ("/v1/completions", {**TEXT, "echo": True, "n": 2, "stop": ["ba", "ti"]}),
    "completions-scores": ("/v1/completions", {**TEXT, "echo": True, "logprobs": 2}),
    "completions-prompts": ("/v1/completions", {**TEXT, "prompt": ["a", "b"], "n": 2, **USAGE}),
    "completions-receipt": ("/v1/completions", {**TEXT, "n": 2, "receipt": True, "stop": "ba"}),
}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Served]:
    with serving(journal=tmp_path / "journal.db") as served:
        yield served


def again(served: Served, stream: str, **headers: str) -> TestResponse:
    """Read the stream to its end."""
    return served.client.get(f"/v1/streams/{stream}", headers=headers, buffered=True)


def events_of(text: str) -> list[tuple[str, Any]]:
    """Return ids and data of the events, without figures that depend on the clock."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if "data" in fields:
            data = fields["data"]
            found.append((fields.get("id", ""), data if data == "[DONE]" else _plain(data)))
    return found


def _plain(data: str) -> Any:
    said = json.loads(data)
    for figure in ("tokens_per_second", "processing_time"):
        (said.get("usage") or {}).pop(figure, None)
    return said


def joined(events: list[tuple[str, Any]]) -> list[Any]:
    """Return the events' content, independent of the cuts: each choice's text and scores joined."""
    said: dict[str, Any] = {}
    for _, data in events:
        for choice in data.get("choices") or [{}] if isinstance(data, dict) else [{}]:
            delta = choice.get("delta", choice)
            kind = str(choice.get("index", "native"))
            told = said.setdefault(kind, {"text": "", "scores": [], "rest": []})
            text = data.get("text") if isinstance(data, dict) else None
            told["text"] += delta.get("content") or delta.get("text") or text or ""
            told["scores"] += _scores(choice.get("logprobs") or {})
            told["rest"] += [_frame(data)]
    for told in said.values():
        told["rest"] = [each for each in told["rest"] if each is not None]
    return [said]


def _scores(logprobs: dict[str, Any]) -> list[Any]:
    if "content" in logprobs:
        return list(logprobs["content"])
    names = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
    return list(zip(*(logprobs[name] or [] for name in names if logprobs.get(name)), strict=True))


def _frame(data: Any) -> Any:
    """Return an event's content besides text: its role, its end, the usage."""
    if not isinstance(data, dict) or "text" in data:
        return None if isinstance(data, dict) else data
    marks = {name: data.get(name) for name in ("id", "created", "seed", "usage", "finish_reason")}
    choices = [
        (each["index"], each.get("finish_reason"), each.get("delta", {}).get("role"))
        for each in data.get("choices", [])
        if each.get("finish_reason") or each.get("delta", {}).get("role")
    ]
    return (marks, choices) if choices or not data.get("choices") else None


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_any_event_is_the_rest_of_the_stream(kept: Served, kind: str) -> None:
    check_every_rest(kept, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_in_chunks_goes_on_after_any_event(tmp_path: Path, kind: str) -> None:
    chunked = {"streaming_chunks": 5}
    with serving(journal=tmp_path / "journal.db", settings=chunked) as kept:
        check_every_rest(kept, kind)


@pytest.mark.parametrize("place", [1, 6, 7, 13, 20, 39])
def test_a_stream_goes_on_inside_a_chunk(tmp_path: Path, place: int) -> None:
    path, body = KINDS["native"]
    with serving(journal=tmp_path / "journal.db", settings={"streaming_chunks": 7}) as kept:
        stream = kept.post(path, seed=3, **body).headers["X-Stream-ID"]
        rest = events_of(again(kept, stream, **{"Last-Event-ID": str(place)}).text)
    text = "".join(data["text"] for _, data in rest if "text" in data)
    before = spoken("größer 😀", 3, place).rstrip("\ufffd")  # a character is sent when it is whole
    assert before + text == spoken("größer 😀", 3, 40)
    ends = [int(place) for place, _ in rest if place.isdigit()]
    assert all(end % 7 == 0 for end in ends[:-1])


def check_every_rest(kept: Served, kind: str) -> None:
    """Check that what follows any event of a stream is its rest."""
    path, body = KINDS[kind]
    first = kept.post(path, **({"stream": True, **body} if path[:3] == "/v1" else body))
    assert first.status_code == 200, first.text
    stream = first.headers["X-Stream-ID"]
    whole = events_of(first.text)
    kept.await_idle()  # a stop sequence may end the reply before the backend hears of it
    steps = len(kept.engine.steps)
    for number, (place, _) in enumerate(whole):
        if not place:
            continue
        rest = again(kept, stream, **{"Last-Event-ID": place})
        assert rest.headers["X-Stream-ID"] == stream
        assert rest.headers["X-Rowcast-Seed"] == first.headers["X-Rowcast-Seed"]
        assert joined(whole[: number + 1] + events_of(rest.text)) == joined(whole)
    assert joined(events_of(again(kept, f"{stream}?from=0").text)) == joined(whole)
    assert len(kept.engine.steps) == steps, "it was computed again"


@pytest.mark.parametrize("template", [TAGGED, BARE], ids=["tagged", "bare"])
@pytest.mark.parametrize("seed", range(3))
def test_a_stream_with_tool_calls_goes_on_after_any_event(
    tmp_path: Path, template: str, seed: int
) -> None:
    body = {**CHAT, "tools": TOOLS, "tool_choice": "required", "max_tokens": 600, "seed": seed}
    with serving(journal=tmp_path / "journal.db", chat=ChatTemplate(template)) as kept:
        first = kept.post("/v1/chat/completions", stream=True, **body)
        whole = events_of(first.text)
        assert any("tool_calls" in str(data) for _, data in whole)
        for number, (place, _) in enumerate(whole):
            if place:
                rest = again(kept, first.headers["X-Stream-ID"], **{"Last-Event-ID": place})
                assert whole[: number + 1] + events_of(rest.text) == whole


@pytest.mark.parametrize("template", [ITSELF, OPENED], ids=["itself", "opened"])
@pytest.mark.parametrize("choices", [1, 2])
def test_a_stream_with_reasoning_and_calls_goes_on_after_any_event(
    tmp_path: Path, template: str, choices: int
) -> None:
    call = '<tool_call>{"name": "weather", "arguments": {"city": "Rome", "days": 2}}</tool_call>'
    begin = "<think>\n" if template == ITSELF else ""
    engine = SayingEngine(f"{begin}größer </thi 😀 \n\n. \n</think>\n\n So, 1 <2:\n{call}\n")
    body = {**CHAT, **USAGE, "tools": TOOLS, "n": choices, "seed": 3, "max_tokens": 300}
    journal = tmp_path / "journal.db"
    with serving(journal=journal, chat=ChatTemplate(template), engine=engine) as kept:
        first = kept.post("/v1/chat/completions", stream=True, **body)
        whole = events_of(first.text)
        assert "reasoning_content" in first.text
        assert "tool_calls" in first.text
        for number, (place, _) in enumerate(whole):
            if place:
                rest = events_of(
                    again(kept, first.headers["X-Stream-ID"], **{"Last-Event-ID": place}).text
                )
                assert by_choice(whole[: number + 1] + rest) == by_choice(whole)


def by_choice(events: list[tuple[str, Any]]) -> dict[Any, list[Any]]:
    """Group events by choice, in order; how the choices interleave depends on timing."""
    found: dict[Any, list[Any]] = {}
    for _, data in events:
        choices = data.get("choices") if isinstance(data, dict) else None
        found.setdefault(choices[0]["index"] if choices else None, []).append(data)
    return found


def a_stream(kept: Served, seed: int | None = None, **more: Any) -> Any:
    """Open a raw stream that is long enough to be abandoned halfway."""
    seed = lasting_seed("Hello", 2000) if seed is None else seed
    return kept.stream("/", text="Hello", seed=seed, max_tokens=2000, **more)


def read_some(response: Any, count: int) -> bytes:
    """Read at least `count` bytes of an unfinished body."""
    read = b""
    parts = response.iter_encoded()
    while len(read) < count:
        read += next(parts)
    return read


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Served]:
    engine = RecordedEngine(step_seconds=0.001)
    with serving(engine=engine, journal=tmp_path / "journal.db") as served:
        yield served


def whole() -> str:
    return spoken("Hello", lasting_seed("Hello", 2000), 2000)


def test_a_reader_that_left_goes_on_where_it_was(slow: Served) -> None:
    response = a_stream(slow)
    stream = response.headers["X-Stream-ID"]
    read = read_some(response, 200)
    response.close()
    until(lambda: slow.backend.idle, "nothing is computed while nobody reads")
    for held in (len(read), 0, len(read) - 7):
        rest = again(slow, f"{stream}?from={held}")
        assert read[:held] + rest.data == whole().encode()


def test_what_is_known_is_not_computed_again(slow: Served) -> None:
    response = a_stream(slow)
    read = read_some(response, 1000)
    response.close()
    until(lambda: slow.backend.idle, "nothing is computed while nobody reads")
    before = len(slow.engine.steps)
    again(slow, f"{response.headers['X-Stream-ID']}?from={len(read)}")
    steps = slow.engine.steps[before:]
    assert len(steps) < 1900
    assert sum(len(feed.tokens) for feed in steps[0]) > 100, "what was known is fed at once"


def test_who_resumes_takes_the_stream_from_who_reads_it(slow: Served) -> None:
    first = a_stream(slow)
    read_some(first, 50)
    stream = first.headers["X-Stream-ID"]
    second = again(slow, stream)
    assert second.text == whole()
    with pytest.raises(OSError, match=TAKEN):
        list(first.iter_encoded())
    first.close()


def test_the_stream_of_a_reader_that_leaves_while_it_is_resumed_is_recorded_further(
    slow: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = a_stream(slow)
    read_some(first, 50)
    stream = first.headers["X-Stream-ID"]
    client = journal_of(slow).client
    wait = client.wait

    def leaving(job: Job[Any]) -> Any:
        if job.call[0] == "resume":
            first.close()
        return wait(job)

    monkeypatch.setattr(client, "wait", leaving)
    assert again(slow, stream).text == whole()
    monkeypatch.undo()
    assert journal_of(slow).find(stream, "").state == "ended"
    computed = len(slow.engine.steps)
    assert again(slow, stream).text == whole()
    assert len(slow.engine.steps) == computed


def test_a_cancelled_stream_ends_and_nothing_of_it_is_kept(slow: Served, tmp_path: Path) -> None:
    response = a_stream(slow, return_prompt=True)
    read_some(response, 50)
    stream = response.headers["X-Stream-ID"]
    assert slow.client.delete(f"/v1/streams/{stream}").status_code == 204
    with pytest.raises(OSError, match=CANCELLED):
        list(response.iter_encoded())
    response.close()
    assert again(slow, stream).status_code == 410
    journal = Journal(tmp_path / "journal.db", keep_seconds=1, reply_seconds=1, limit=1 << 26)
    record = journal.find(stream, "")
    journal.close()
    assert record is not None
    assert record.body == b""


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_another_team_s_stream_is_not_there(kept: Served, method: str) -> None:
    mine = {"X-Rowcast-Proxy-Secret": SECRET, "X-Rowcast-Team": "blue"}
    response = kept.client.post("/", json={"text": "Hello"}, headers=mine, buffered=True)
    path = f"/v1/streams/{response.headers['X-Stream-ID']}"
    for headers in ({}, {**mine, "X-Rowcast-Team": "red"}):
        refused = kept.client.open(path, method=method, headers=headers)
        assert refused.status_code == 404
        assert refused.get_json()["error"]["code"] == "stream_not_found"
    stream = response.headers["X-Stream-ID"]
    assert again(kept, stream, **mine).text == response.text


def test_another_build_does_not_go_on_with_a_stream(kept: Served) -> None:
    stream = kept.post("/", text="Hello").headers["X-Stream-ID"]
    kept.engine.fingerprint = "another"
    kept.backend._status_due = 0
    until(lambda: "another" in kept.client.get("/health").text, "the new build is known")
    kept.post("/", text="Hello")
    refused = again(kept, stream)
    assert refused.status_code == 409
    assert "another" in refused.get_json()["error"]["message"]
    assert refused.headers["X-Should-Retry"] == "false"


@pytest.mark.parametrize("start", ["x", "1.1", "-1"])
def test_a_place_that_is_none_is_refused(kept: Served, start: str) -> None:
    for path in ("/chat/scripted", "/"):
        stream = kept.post(path, text="Hello").headers["X-Stream-ID"]
        refused = again(kept, f"{stream}?from={start}")
        assert refused.status_code == 400
        assert refused.get_json()["error"]["param"] == "from"


def test_a_place_behind_the_end_is_refused_with_the_number_of_bytes(kept: Served) -> None:
    first = kept.post("/", text="Hello")
    stream, length = first.headers["X-Stream-ID"], len(first.data)
    until(lambda: again(kept, f"{stream}?from={length}").data == b"", "it has ended")
    for start in (length + 1, 999999999999):
        refused = again(kept, f"{stream}?from={start}")
        assert refused.status_code == 400
        assert f"is {start}; the body is complete and has {length} bytes" in refused.text
    assert again(kept, f"{stream}?from={length - 2}").data == first.data[-2:]


def test_a_body_that_ends_before_the_place_that_was_asked_for_is_cut(slow: Served) -> None:
    response = a_stream(slow)
    read_some(response, 50)
    response.close()
    rest = slow.client.get(f"/v1/streams/{response.headers['X-Stream-ID']}?from=99999999")
    assert rest.status_code == 200
    with pytest.raises(OSError, match="before the requested position"):
        list(rest.iter_encoded())
    rest.close()


def test_a_json_answer_can_be_had_again(kept: Served) -> None:
    first = kept.post("/", text="Hello", stream=False)
    assert again(kept, first.headers["X-Stream-ID"]).get_json() == first.get_json()


def test_without_a_journal_streams_have_no_ids(served: Served) -> None:
    assert "X-Stream-ID" not in served.post("/", text="Hello").headers
    refused = served.client.get("/v1/streams/0")
    assert refused.status_code == 404
    assert "JOURNAL is off" in refused.get_json()["error"]["message"]
    assert "journal" not in served.client.get("/health").get_json()
