"""Cached tokens: told in each dialect, and the same to every reader of a stream.

Each seating finds another number, as after the death of a backend.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from backend.driven import RecordedEngine
from processes import until
from rowcast.frontend.request.prefix_keys import NOBODY, PrefixKeys
from rowcast.settings import PrefixScope
from rowcast.transport.ports import BackendPort

from ..caching import CachingPort
from ..serving import SECRET, Served, await_written, journal_of, serving

SHOWN = re.compile(r'"(?:cached_tokens|cache_read_input_tokens)": ?(\d+)')
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
MODEL = {"model": "scripted", "seed": 3}
USAGE = {"stream_options": {"include_usage": True}}
STREAMED: dict[str, tuple[str, dict[str, Any]]] = {
    "native": ("/chat/scripted", {"text": "Hello", "seed": 3}),
    "chat": ("/v1/chat/completions", {**MODEL, "messages": HELLO, **USAGE}),
    "completions": ("/v1/completions", {**MODEL, "prompt": "Hello", **USAGE}),
    "responses": ("/v1/responses", {**MODEL, "input": "Hello"}),
    "messages": ("/v1/messages", {**MODEL, "messages": HELLO}),
}
TIMES = {"chat": 1, "completions": 1, "messages": 2}  # how often a stream shows it; others once
FIRST = 9  # of the first seating; later ones find 10, 11, …
LONG = 200  # tokens, at which a reply is read in part
ENDLESS = 4000  # tokens, of a reply that is not read to its end


@contextmanager
def caching(
    journal: Path | None, scope: PrefixScope = "team", **options: Any
) -> Iterator[tuple[Served, CachingPort]]:
    """A server whose first seating finds `FIRST` tokens."""
    ports: list[CachingPort] = []

    def between(port: BackendPort) -> CachingPort:
        ports.append(CachingPort(port, iter(range(FIRST, 10**6))))
        return ports[0]

    keys = PrefixKeys(b"k" * 32, scope)
    with serving(journal=journal, between=between, prefix_keys=keys, **options) as served:
        yield served, ports[0]


def body_of(kind: str, tokens: int) -> tuple[str, dict[str, Any]]:
    """Return path and body of a stream of so many tokens."""
    path, body = STREAMED[kind]
    name = "max_output_tokens" if kind == "responses" else "max_tokens"
    ends = {"ignore_eos": True} if kind != "native" else {}
    return path, {**body, name: tokens, "stream": True, **ends}


def shown(text: str) -> list[int]:
    return [int(each) for each in SHOWN.findall(text)]


def again(served: Served, stream: str) -> str:
    return served.client.get(f"/v1/streams/{stream}", buffered=True).text


def end_of(text: str) -> list[str]:
    """Return the last events, in which the number is, without figures of the clock."""
    return without_clock(text).split("\n\n")[-3:]


def without_clock(text: str) -> str:
    return re.sub(r'"(tokens_per_second|processing_time)": ?[0-9.e-]+', r'"\1":0', text)


def part_of(response: TestResponse, least: int) -> str:
    """Read a stream until it has so many characters of events."""
    text = ""
    for chunk in response.response:
        assert isinstance(chunk, bytes)
        text += chunk.decode()
        if len(text) >= least:
            return text
    raise AssertionError(text)


@pytest.mark.parametrize("kind", STREAMED)
@pytest.mark.parametrize("journal", [True, False], ids=["kept", "unkept"])
def test_each_dialect_tells_it_and_tells_it_again(tmp_path: Path, kind: str, journal: bool) -> None:
    path, body = body_of(kind, 12)
    with caching(tmp_path / "journal.db" if journal else None) as (served, _):
        first = served.post(path, **body)
        assert shown(first.text) == [FIRST] * TIMES.get(kind, 1)
        second = served.post(path, **body)
        assert shown(second.text) == [FIRST + 1] * TIMES.get(kind, 1)
        if journal:
            read = again(served, first.headers["X-Stream-ID"])
            assert shown(read) == shown(first.text)
            assert end_of(read) == end_of(first.text)


@pytest.mark.parametrize("kind", STREAMED)
def test_a_whole_answer_tells_it_and_its_key_brings_the_same(tmp_path: Path, kind: str) -> None:
    path, body = body_of(kind, 12)
    body = {name: value for name, value in body.items() if name != "stream_options"}
    body["stream"] = False
    with caching(tmp_path / "journal.db") as (served, _):
        answers = [
            served.client.post(path, json=body, headers={"Idempotency-Key": "k"}, buffered=True)
            for _ in range(2)
        ]
    assert shown(answers[0].text) == [FIRST]
    assert without_clock(answers[1].text) == without_clock(answers[0].text)


def test_of_several_choices_a_prompt_counts_once(tmp_path: Path) -> None:
    with caching(tmp_path / "journal.db") as (served, _):
        body = {**MODEL, "prompt": ["Hello, you", "Hello, me!"], "n": 2, "max_tokens": 3}
        answer = served.post("/v1/completions", **body)
        assert shown(answer.text) in ([FIRST + FIRST + 2], [FIRST + FIRST + 1])
        usage = answer.get_json()["usage"]
        assert usage["prompt_tokens"] == 20


def test_messages_count_cached_tokens_beside_the_others_and_wait_for_a_row() -> None:
    engine = RecordedEngine(rows=1, step_seconds=0.005)
    path, body = body_of("messages", 12)
    prompt = len("user: Hello\nassistant:")
    settings = {"comment_seconds": 0.05}
    with caching(None, engine=engine, settings=settings) as (served, _):
        taken = served.stream("/v1/completions", **body_of("completions", 200)[1])
        part_of(taken, 1)
        waits = served.stream(path, **body)
        begun = part_of(waits, 20)
        assert begun.replace(": waiting\n", "") == ""
        taken.close()
        text = "".join(chunk.decode() for chunk in waits.response)  # type: ignore[union-attr]
        waits.close()
    assert re.findall(r'"input_tokens":(\d+)', text) == [str(prompt - FIRST - 1)] * 2
    assert shown(text) == [FIRST + 1] * 2


@pytest.mark.parametrize("kind", ["native", "chat", "messages"])
def test_what_was_shown_stays_when_another_process_computes_the_rest(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written in time: only a number that is shown early is stored before."""
    path, body = body_of(kind, LONG)
    with ExitStack() as stack:
        slow = RecordedEngine(step_seconds=0.002)
        one, _ = stack.enter_context(caching(tmp_path / "journal.db", engine=slow))
        monkeypatch.setattr(journal_of(one).sync, "_tick", lambda: None)
        other, _ = stack.enter_context(caching(tmp_path / "journal.db", engine=RecordedEngine()))
        other.post("/v1/completions", **body_of("completions", 2)[1])  # seats one: FIRST
        begun = one.stream(path, **body)
        before = part_of(begun, 600)
        told = FIRST if kind == "messages" else 0
        assert shown(before) == [told] * (kind == "messages")
        stream = begun.headers["X-Stream-ID"]
        read = again(other, stream)
        assert shown(read) == [told] * TIMES.get(kind, 1)
        rest = "".join(chunk.decode() for chunk in begun.response)  # type: ignore[union-attr]
        assert set(shown(rest)) <= {told}  # it does not know yet that it was taken
        begun.close()
        assert shown(again(other, stream)) == shown(read)


@pytest.mark.parametrize("stored", [True, False])
def test_a_follower_whose_journal_failed_reads_the_number_when_it_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    """Its owner stores the number between the last sync that worked and that moment, or fails."""
    path, body = body_of("chat", 100)
    with ExitStack() as stack:
        slow = RecordedEngine(step_seconds=0.02)
        one, _ = stack.enter_context(caching(tmp_path / "journal.db", engine=slow))
        monkeypatch.setattr(journal_of(one).sync, "_tick", lambda: None)
        other, port = stack.enter_context(caching(tmp_path / "journal.db"))
        other.post("/v1/completions", **body_of("completions", 2)[1])  # seats one: FIRST
        key = {"Idempotency-Key": "k"}
        begun = one.client.post(path, json=body, headers=key, buffered=False)
        follows = other.client.post(path, json=body, headers=key, buffered=False)
        sync = journal_of(other).sync
        (session,) = sync.followed
        sync._compute_alone(session)  # as if its journal failed
        until(lambda: len(port.submits) == 2, "it computes alone")
        if not stored:
            journal_of(one).client.problem = "the disk is gone"
        ours = "".join(chunk.decode() for chunk in begun.response)  # type: ignore[union-attr]
        theirs = "".join(chunk.decode() for chunk in follows.response)  # type: ignore[union-attr]
        begun.close()
        follows.close()
    assert shown(theirs) == shown(ours) == [FIRST if stored else 0]
    assert end_of(theirs) == end_of(ours)


def test_a_number_that_was_written_in_time_stays(tmp_path: Path) -> None:
    path, body = body_of("chat", LONG)
    slow = RecordedEngine(step_seconds=0.002)
    with caching(tmp_path / "journal.db", engine=slow) as (served, _):
        begun = served.stream(path, **body)
        part_of(begun, 600)
        await_written(served)
        begun.close()
        read = again(served, begun.headers["X-Stream-ID"])
    assert shown(read) == [FIRST]


def test_a_stream_that_has_no_record_shows_it_at_once(tmp_path: Path) -> None:
    path, body = body_of("messages", 2)
    with caching(tmp_path / "journal.db") as (served, _):
        served.post(path, **body)
        journal_of(served).client.problem = "the disk is gone"
        answer = served.post(path, **body)
    assert (
        shown(answer.text) == [FIRST + 1] * 2
    )  # its record could not begin: nobody reads it again


def test_usage_within_a_stream_begins_without_cached_tokens(tmp_path: Path) -> None:
    path, body = body_of("chat", 5)
    body["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    with caching(tmp_path / "journal.db") as (served, _):
        first = served.post(path, **body)
        begun, *rest = shown(first.text)
        assert (begun, set(rest)) == (0, {FIRST})
        read = again(served, first.headers["X-Stream-ID"])
    assert {0, FIRST} == set(shown(read))
    assert shown(read)[0] == 0


def headers_of(team: str, token: str) -> dict[str, str]:
    return {
        "X-Rowcast-Proxy-Secret": SECRET,
        "X-Rowcast-Team": team,
        "X-Rowcast-Token-Id": token,
    }


OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "generate": ("/generate", {"prompt": "Hello", "max_tokens": 2}),
    "tgi": ("/generate", {"inputs": "Hello", "parameters": {"max_new_tokens": 2}}),
}
SENT = OTHERS | {kind: body_of(kind, 2) for kind in STREAMED}
DIFFERENT: dict[PrefixScope, list[int]] = {"team": [0, 0, 1], "token": [0, 1, 2], "off": [0] * 3}


@pytest.mark.parametrize("scope", DIFFERENT)
def test_each_dialect_sends_the_key_of_its_caller(scope: PrefixScope) -> None:
    callers = [headers_of(*each) for each in (("blue", "1"), ("blue", "2"), ("red", "1"))]
    with caching(None, scope) as (served, port):
        for path, body in SENT.values():
            port.submits.clear()
            for headers in callers:
                sent = served.client.post(path, json=body, headers=headers, buffered=True)
                assert sent.status_code == 200, sent.text
            keys = [submit.prefix_key for submit in port.submits]
            assert [list(dict.fromkeys(keys)).index(key) for key in keys] == DIFFERENT[scope]
            assert (NOBODY in keys) == (scope == "off")


def test_a_salt_narrows_and_never_widens() -> None:
    salts = [None, "blue", "red"]
    with caching(None) as (served, port):
        embedded = ("/v1/embeddings", {"model": "scripted", "input": "Hello"})
        unstored = (SENT["responses"][0], SENT["responses"][1] | {"store": False})
        others = {"embeddings": embedded, "unstored": unstored}
        for kind, (path, body) in (SENT | others).items():
            if kind == "tgi":
                continue  # it has no such field
            port.submits.clear()
            for team in ("blue", "red"):
                for salt in salts:
                    salted = {**body, "cache_salt": salt}
                    served.client.post(
                        path, json=salted, headers=headers_of(team, "1"), buffered=True
                    )
            assert len({submit.prefix_key for submit in port.submits}) == 2 * len(salts), kind


def test_a_route_that_computes_nothing_takes_a_salt_without_effect() -> None:
    with caching(None) as (served, _):
        salted = served.post("/tokenize", model="scripted", prompt="Hello", cache_salt="blue")
        assert salted.status_code == 200


def test_headers_without_the_secret_are_nobodys_claims(tmp_path: Path) -> None:
    path, body = body_of("chat", 2)
    with caching(None, settings={"proxy_secret": None}) as (served, port):
        for headers in ({}, headers_of("blue", "1"), {"X-Rowcast-Team": "red"}):
            served.client.post(path, json=body, headers=headers, buffered=True)
        served.client.post(path, json=body, headers={"X-Rowcast-Proxy": "1"}, buffered=True)
        *local, proxied = [submit.prefix_key for submit in port.submits]
    assert len(set(local)) == 1
    assert NOBODY not in local
    assert proxied == NOBODY  # of teams that cannot be distinguished


@pytest.mark.parametrize("scope", ["team", "token"])
def test_a_stream_that_another_token_resumes_has_the_key_of_the_first(
    tmp_path: Path, scope: PrefixScope
) -> None:
    path, body = body_of("chat", ENDLESS)
    slow = RecordedEngine(step_seconds=0.002)
    with caching(tmp_path / "journal.db", scope, engine=slow) as (served, port):
        begun = served.client.post(path, json=body, headers=headers_of("blue", "1"), buffered=False)
        part_of(begun, 300)
        place = f"/v1/streams/{begun.headers['X-Stream-ID']}"
        resumed = served.client.get(place, headers=headers_of("blue", "2"), buffered=False)
        part_of(resumed, 300)
        first, second = port.submits
        begun.close()
        resumed.close()
    assert (first.delivered, second.delivered is None) == (None, False)
    assert first.prefix_key == second.prefix_key != NOBODY


def test_the_limits_of_a_salt_are_told() -> None:
    path, body = body_of("chat", 2)
    with caching(None) as (served, _):
        for salt in ("", 7, ["a"]):
            answer = served.post(path, **body, cache_salt=salt)
            assert answer.status_code == 400
            assert "cache_salt" in answer.get_json()["error"]["message"]
