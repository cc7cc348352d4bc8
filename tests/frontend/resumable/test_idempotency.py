"""Idempotency keys: a repeated request joins the first, and nothing is computed twice.

Covers `readers`, `origin`.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from backend.driven import RecordedEngine
from processes import until
from rowcast.frontend.resumable import readers

from ..serving import SECRET, Served, journal_of, lasting_seed, serving, spoken
from .test_resuming import KINDS, events_of, joined, read_some

pytestmark = pytest.mark.slow

KEY = {"Idempotency-Key": "key-1"}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Served]:
    with serving(journal=tmp_path / "journal.db") as served:
        yield served


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Served]:
    engine = RecordedEngine(step_seconds=0.002)
    with serving(engine=engine, journal=tmp_path / "journal.db") as served:
        yield served


def post(served: Served, path: str, body: dict[str, Any], **headers: str) -> TestResponse:
    return served.client.post(path, json=body, headers={**KEY, **headers}, buffered=True)


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_end_the_same_stream_is_told_again(kept: Served, kind: str) -> None:
    path, body = KINDS[kind]
    asked = {"stream": True, **body} if path[:3] == "/v1" else body
    first = post(kept, path, asked)
    kept.await_idle()  # a stop sequence may end the reply before the backend learns of it
    steps = len(kept.engine.steps)
    again = post(kept, path, asked)
    assert again.headers["X-Stream-ID"] == first.headers["X-Stream-ID"]
    assert joined(events_of(again.text)) == joined(events_of(first.text))
    assert len(kept.engine.steps) == steps, "it was computed again"


@pytest.mark.parametrize("path", ["/", "/v1/completions"])
def test_after_the_end_the_same_json_is_told_again(kept: Served, path: str) -> None:
    words = {"text": "Hello"} if path == "/" else {"model": "scripted", "prompt": "Hello"}
    answers = [post(kept, path, {**words, "stream": False}).get_json() for _ in range(2)]
    for answer in answers:
        for figure in ("tokens_per_second", "processing_time"):
            answer.get("usage", {}).pop(figure, None)
    assert answers[0] == answers[1]
    assert len(kept.engine.seatings) == 1


def read_whole(served: Served) -> TestResponse:
    """Return an answer that is made, and not yet sent."""
    body = {"model": "scripted", "prompt": "Hello"}
    return served.client.post("/v1/completions", json=body, headers=KEY, buffered=False)


def test_few_may_read_one_kept_stream_at_once(
    kept: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "READERS", 2)
    first, *others = [read_whole(kept) for _ in range(3)]
    assert [each.status_code for each in (first, *others)] == [200, 200, 503]
    assert "2 connections are already reading this stream" in others[-1].text
    name = first.headers["X-Stream-ID"]
    resumed = [kept.client.get(f"/v1/streams/{name}", buffered=False) for _ in range(3)]
    assert [each.status_code for each in resumed] == [200, 200, 503]
    for each in (first, *others, *resumed):
        each.close()
    assert read_whole(kept).status_code == 200
    assert kept.client.get(f"/v1/streams/{name}").status_code == 200


def test_records_that_are_read_fit_their_memory(kept: Served) -> None:
    read_whole(kept).close()
    journal_of(kept).readers.memory.limit = 1
    first, second = read_whole(kept), read_whole(kept)
    assert (first.status_code, second.status_code) == (200, 503), "one is always read"
    assert "memory for reading kept streams is full" in second.text
    first.close()
    assert read_whole(kept).status_code == 200


def test_while_the_first_is_read_others_are_told_the_same(slow: Served) -> None:
    seed = lasting_seed("Hello", 400)
    body = {"text": "Hello", "seed": seed, "max_tokens": 400}
    first = slow.client.post("/", json=body, headers=KEY, buffered=False)
    begun = read_some(first, 20)
    answers: list[bytes] = []

    def follow() -> None:
        answers.append(post(slow, "/", body).data)

    followers = [threading.Thread(target=follow) for _ in range(3)]
    for follower in followers:
        follower.start()
    said = begun + b"".join(first.iter_encoded())
    first.close()
    for follower in followers:
        follower.join(20)
    assert {said, *answers} == {spoken("Hello", seed, 400).encode()}
    assert len(answers) == 3
    assert len(slow.engine.seatings) == 1


def test_when_the_first_leaves_a_follower_goes_on(slow: Served) -> None:
    seed = lasting_seed("Hello", 600)
    body = {"text": "Hello", "seed": seed, "max_tokens": 600}
    first = slow.client.post("/", json=body, headers=KEY, buffered=False)
    read_some(first, 20)
    follower = slow.client.post("/", json=body, headers=KEY, buffered=False)
    until(lambda: len(journal_of(slow).sync.followed) == 1, "it follows")
    first.close()
    assert follower.text == spoken("Hello", seed, 600)
    follower.close()
    assert len(slow.engine.seatings) == 2
    assert len(slow.engine.steps) < 800, "what was known was computed again"


def test_a_cancelled_stream_ends_for_its_followers_too(slow: Served) -> None:
    body = {"text": "Hello", "seed": lasting_seed("Hello", 2000), "max_tokens": 2000}
    first = slow.client.post("/", json=body, headers=KEY, buffered=False)
    read_some(first, 20)
    follower = slow.client.post("/", json=body, headers=KEY, buffered=False)
    assert slow.client.delete(f"/v1/streams/{first.headers['X-Stream-ID']}").status_code == 204
    for response in (first, follower):
        with pytest.raises(OSError, match="cancelled"):
            list(response.iter_encoded())
        response.close()
    assert post(slow, "/", body).status_code == 410


def test_a_key_belongs_to_one_request(kept: Served) -> None:
    post(kept, "/", {"text": "Hello"})
    for path, body in (("/", {"text": "Hullo"}), ("/chat/scripted", {"text": "Hello"})):
        refused = post(kept, path, body)
        assert refused.status_code == 409
        assert refused.headers["X-Should-Retry"] == "false"
        assert "Idempotency-Key" in refused.get_json()["message"]


def test_a_key_belongs_to_one_team(kept: Served) -> None:
    streams = set()
    for team in ("blue", "red"):
        headers = {"X-Rowcast-Proxy-Secret": SECRET, "X-Rowcast-Team": team}
        streams.add(post(kept, "/", {"text": "Hello"}, **headers).headers["X-Stream-ID"])
    assert len(streams) == 2


def test_a_refused_request_does_not_take_the_key(kept: Served) -> None:
    too_long = {"text": "x" * 5000}
    assert post(kept, "/", too_long).status_code == 400
    assert post(kept, "/", {"text": "Hello"}).status_code == 200


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256])
def test_a_key_is_visible_ascii(kept: Served, key: str) -> None:
    refused = kept.client.post("/", json={"text": "Hello"}, headers={"Idempotency-Key": key})
    assert refused.status_code == 400
    assert "Idempotency-Key" in refused.get_json()["message"]


def test_without_a_journal_the_key_still_makes_the_reply(served: Served) -> None:
    said = {post(served, "/", {"text": "Hello"}).text for _ in range(2)}
    assert len(said) == 1
    other = post(served, "/", {"text": "Hello"}, **{"Idempotency-Key": "key-2"})
    assert other.text not in said
