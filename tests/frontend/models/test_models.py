"""Two models in one frontend: by name, held while they are used, loaded on the first request.

Covers `frontend/models/builds`, `frontend/models/table`, `slot`, `waiting`, `maker`, `supervision`,
`recipes`, `frontend/api/late`.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from processes import until
from rowcast.frontend.models import slot
from rowcast.frontend.served_model import ServedModel
from rowcast.models.messages import Drop, Hello, Hold
from rowcast.models.revision import build_id

from ..serving import PATIENCE, spoken
from .supervised import Stage, events_of, stage

CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5, "seed": 3}


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path, comment_seconds=0.2) as found:
        yield found


def in_thread(work: object, *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def test_each_of_two_models_answers_by_its_names(made: Stage) -> None:
    big, small = made.build("big", load="start"), made.build("small", aliases=("s",))
    engines = [made.backend(big), made.backend(small)]
    made.played.show(made.state(big), made.state(small))
    made.await_names("big", "small")
    for name, engine in (("big", engines[0]), ("small", engines[1]), ("s", engines[1])):
        before = [len(each.seatings) for each in engines]
        assert made.text(name, "Hi") == spoken("Hi", 3, 5)
        seated = [len(each.seatings) - had for each, had in zip(engines, before, strict=True)]
        assert seated == [int(each is engine) for each in engines]
    refused = made.client().post("/inference/tiny", json={"text": "Hi"})
    assert refused.status_code == 404
    assert "available: big, small, s" in refused.text


def test_a_changed_alias_is_a_name_at_once(made: Stage) -> None:
    build = structs.replace(made.build("one"), aliases=("uno",))
    made.backend(build)
    made.played.show(made.state(build))
    made.await_names("one")
    assert made.text("uno", "Hi") == spoken("Hi", 3, 5)
    made.played.show(made.state(structs.replace(build, aliases=("eins",))))
    until(lambda: "eins" in made.frontend.models.listed, "the alias is known")
    assert made.text("eins", "Hi") == spoken("Hi", 3, 5)
    assert made.client().post("/inference/uno", json={"text": "Hi"}).status_code == 404


def test_a_pinned_model_is_held_once_and_costs_no_further_message(made: Stage) -> None:
    build = made.build("one")
    made.backend(build)
    made.played.show(made.state(build))
    made.await_names("one")
    for _ in range(5):
        made.text("one", "Hi")
    assert [each.build.id for each in made.played.got(Hold)] == ["one-1"]
    assert not made.played.got(Drop)
    made.played.change("one-1", pinned=False)
    until(lambda: len(made.played.got(Drop)) == 1, "it is dropped")
    (dropped,) = made.played.got(Drop)
    assert dropped.build == "one-1"
    assert dropped.idle_seconds > 0


def test_a_model_that_is_not_pinned_is_dropped_after_each_request(made: Stage) -> None:
    build = made.build("one")
    made.backend(build)
    made.played.show(made.state(build, pinned=False))
    made.await_names("one")
    client = made.client()
    body = CHAT | {"model": "one", "keep_alive": "5m"}
    assert client.post("/v1/chat/completions", json=body).status_code == 200
    until(lambda: len(made.played.got(Drop)) == 1, "it is dropped")
    assert made.played.got(Drop)[0].keep_alive == 300.0
    made.text("one", "Hi")
    until(lambda: len(made.played.got(Drop)) == 2, "it is dropped again")
    assert len(made.played.got(Hold)) == 2
    assert made.played.holds["one-1"] == 0


def test_a_stream_holds_its_model_until_it_was_read(made: Stage) -> None:
    build = made.build("one")
    made.backend(build)
    made.played.show(made.state(build, pinned=False))
    made.await_names("one")
    fields = {"text": "Hi", "seed": 3, "max_tokens": 5}
    response = made.client().post("/inference/one", json=fields, buffered=False)
    assert made.played.holds["one-1"] == 1
    assert response.get_data(as_text=True) == spoken("Hi", 3, 5)
    response.close()
    until(lambda: made.played.holds["one-1"] == 0, "it is dropped")


def test_a_request_waits_while_its_model_is_loaded(made: Stage) -> None:
    build = made.build("one")
    made.played.show(made.state(build, "unloaded", loads=0))
    made.await_names("one")
    texts: list[str] = []
    asking = in_thread(lambda: texts.append(made.text("one", "Hi")))
    until(lambda: made.played.got(Hold) != [], "it is ordered")
    made.played.change("one-1", state="loading")
    made.backend(build)
    made.played.change("one-1", state="ready", loads=1, pinned=True)
    asking.join(PATIENCE)
    assert texts == [spoken("Hi", 3, 5)]


def test_an_event_stream_begins_with_comments_while_its_model_is_loaded(made: Stage) -> None:
    build = made.build("one")
    made.played.show(made.state(build, "loading", loads=0))
    made.await_names("one")
    body = CHAT | {"model": "one", "stream": True}
    response = made.client().post("/v1/chat/completions", json=body, buffered=False)
    assert response.status_code == 200
    assert "X-Stream-ID" not in response.headers
    chunks = response.iter_encoded()
    assert [next(chunks) for _ in range(3)] == [b": waiting\n"] * 3
    made.backend(build)
    made.played.change("one-1", state="ready", loads=1)
    *events, done = events_of(b"".join(chunks))
    response.close()
    assert done == "[DONE]"
    text = "".join(each["choices"][0]["delta"].get("content", "") for each in events)
    whole = made.client().post("/v1/chat/completions", json=body | {"stream": False}).get_json()
    assert text == whole["choices"][0]["message"]["content"]
    assert events[0]["system_fingerprint"] == "one-1"


def test_a_stream_that_begins_before_its_model_is_loaded_has_its_id(tmp_path: Path) -> None:
    with stage(tmp_path, journal=True) as made:
        build = made.build("one")
        made.played.show(made.state(build, "loading", loads=0))
        made.await_names("one")
        body = CHAT | {"model": "one", "stream": True}
        response = made.client().post("/v1/chat/completions", json=body, buffered=False)
        stream = response.headers["X-Stream-ID"]
        chunks = response.iter_encoded()
        assert next(chunks) == b": waiting\n"
        assert made.client().get(f"/v1/streams/{stream}").status_code == 404, "not accepted yet"
        made.backend(build)
        made.played.change("one-1", state="ready", loads=1, pinned=True)
        read = b"".join(chunks)
        response.close()
        again = made.client().get(f"/v1/streams/{stream}", buffered=True)
        assert (again.status_code, again.headers["X-Stream-ID"]) == (200, stream)
        assert content_of(again.data, stream) == content_of(read, stream) != ""


def content_of(stream: bytes, name: str) -> str:
    """Return the text of a chat's stream, each of whose events must name it."""
    *events, _ = events_of(stream)
    assert {each["id"] for each in events} == {f"chatcmpl-{name}"}
    return "".join(each["choices"][0]["delta"].get("content", "") for each in events)


def test_no_id_is_sent_of_a_stream_that_may_be_another_one_or_is_not_stored(tmp_path: Path) -> None:
    with stage(tmp_path, journal=True) as made:
        made.played.show(made.state(made.build("one"), "loading", loads=0))
        made.await_names("one")
        sent = {"model": "one", "stream": True}
        requests: list[tuple[str, dict[str, Any], dict[str, str]]] = [
            ("/v1/chat/completions", CHAT | sent, {"Idempotency-Key": "k"}),
            ("/v1/responses", {"input": "Hi", "store": False} | sent, {}),
        ]
        for path, body, headers in requests:
            response = made.client().post(path, json=body, headers=headers, buffered=False)
            assert next(response.iter_encoded()) == b": waiting\n"
            assert "X-Stream-ID" not in response.headers
            response.close()


@pytest.mark.parametrize("native", [True, False])
def test_what_a_begun_stream_refuses_is_an_error_event(made: Stage, native: bool) -> None:
    build = made.build("one")
    made.played.show(made.state(build, "loading", loads=0))
    made.await_names("one")
    if native:
        path, body = "/chat/one", {"text": "Hi", "max_tokens": 5}
    else:
        path, body = "/v1/chat/completions", CHAT | {"model": "one", "stream": True}
    response = made.client().post(path, json=body, buffered=False)
    chunks = response.iter_encoded()
    next(chunks)
    made.played.change("one-1", state="failed", reason="no such file", retry_seconds=30.0)
    rest = b"".join(chunks)
    response.close()
    (event,) = events_of(rest.replace(b": waiting\n", b""))
    if native:
        assert event["status_code"] == 503
        assert b"event: error" in rest
    message = event["message"] if native else event["error"]["message"]
    assert message == "the model 'one' cannot be loaded: no such file"
    until(lambda: made.played.holds["one-1"] == 0, "it is dropped")


def test_a_failed_load_refuses_waiting_requests_and_the_next_at_once(made: Stage) -> None:
    build = made.build("one")
    made.played.show(made.state(build, "loading", loads=0))
    made.await_names("one")
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        response = made.client().post("/inference/one", json={"text": "Hi"})
        answers.append((response.status_code, response.headers["Retry-After"]))
        assert "no room for it" in response.text

    asking = [in_thread(ask) for _ in range(3)]
    slot = made.frontend.models.current[0]
    until(lambda: len(slot.waits) == 3, "all wait")
    made.played.change("one-1", state="failed", reason="no room for it", retry_seconds=30.0)
    for each in asking:
        each.join(PATIENCE)
    ask()
    assert answers == [(503, "30")] * 4
    assert len(made.played.got(Hold)) == 1
    listed = made.client().get("/v1/models").get_json()["data"][0]
    status = {"value": "unloaded", "failed": True, "reason": "no room for it", "retry_seconds": 30}
    assert listed["status"] == status


def test_a_request_beyond_the_waiting_line_is_refused(tmp_path: Path) -> None:
    with stage(tmp_path, waiting_line=1) as made:
        build = made.build("one")
        made.played.show(made.state(build, "loading", loads=0))
        made.await_names("one")
        first = in_thread(made.text, "one", "Hi")
        slot = made.frontend.models.current[0]
        until(lambda: len(slot.waits) == 1, "one waits")
        refused = made.client().post("/inference/one", json={"text": "Hi"})
        assert refused.status_code == 503
        assert "limit" in refused.text
        made.backend(build)
        made.played.change("one-1", state="ready", loads=1)
        first.join(PATIENCE)


def test_with_no_waiting_line_a_request_begins_a_load_and_does_not_wait(tmp_path: Path) -> None:
    with stage(tmp_path, waiting_line=0) as made:
        build = made.build("one")
        made.played.show(made.state(build, "unloaded", loads=0))
        made.await_names("one")
        refused = made.client().post("/inference/one", json={"text": "Hi"})
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert "no request may wait (WAITING_LINE is 0)" in refused.text
        until(lambda: len(made.played.got(Hold)) == 1, "the load was begun")
        made.played.change("one-1", state="loading")
        until(lambda: made.frontend.models.current[0].is_loaded, "it is loading")
        assert made.client().post("/inference/one", json={"text": "Hi"}).status_code == 503
        assert not made.frontend.models.current[0].waits
        made.backend(build)
        made.played.change("one-1", state="ready", loads=1)
        until(lambda: made.frontend.models.current[0].serves, "it is loaded")
        assert made.text("one", "Hi") == spoken("Hi", 3, 5)


def test_a_request_whose_load_takes_too_long_is_refused(tmp_path: Path) -> None:
    with stage(tmp_path, load_seconds=0.3) as made:
        build = made.build("one")
        made.played.show(made.state(build, "loading", loads=0, stage="reading weights"))
        made.await_names("one")
        late = made.client().post("/inference/one", json={"text": "Hi"})
        assert late.status_code == 503
        assert "was not loaded within 0.3 s (reading weights)" in late.text
        sooner = {"X-Request-Timeout": "0.05"}
        assert made.client().post("/chat/one", json={"text": "Hi"}, headers=sooner).status == (
            "504 GATEWAY TIMEOUT"
        )
        until(lambda: made.played.holds["one-1"] == 0, "nobody waits for it")


def test_a_draining_build_is_dropped_and_held_again_for_waiting_requests(
    made: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Other models need its room: requests in flight finish, later ones wait for the next load."""
    build = made.build("one")
    made.backend(build)
    made.played.show(made.state(build))
    made.await_names("one")
    fields = {"text": "Hi", "seed": 3, "max_tokens": 5}
    response = made.client().post("/inference/one", json=fields, buffered=False)
    made.played.answers = False
    made.played.change("one-1", state="draining", pinned=False)
    slot = made.frontend.models.current[0]
    until(lambda: slot.state.state == "draining", "it is known")
    texts: list[str] = []
    waiting = in_thread(lambda: texts.append(made.text("one", "Ho")))
    until(lambda: len(slot.waits) == 1, "it waits")
    assert not made.played.got(Drop)
    assert response.get_data(as_text=True) == spoken("Hi", 3, 5)
    response.close()
    assert "backend lost" not in caplog.text, "a draining build's streams keep their connection"
    until(lambda: len(made.played.got(Hold)) == 2, "it is dropped, and held again")
    assert len(made.played.got(Drop)) == 1
    made.backends.pop("one-1").stop()
    made.played.change("one-1", state="loading")
    made.played.answer("one-1")
    made.backend(build)
    made.played.change("one-1", state="ready", loads=2, pinned=True)
    waiting.join(PATIENCE)
    assert texts == [spoken("Ho", 3, 5)]


def test_a_swap_moves_new_requests_and_leaves_streams_where_they_are(made: Stage) -> None:
    old, new = made.build("one", 1), made.build("one", 2)
    first = made.backend(old, step_seconds=0.002)
    made.played.show(made.state(old))
    made.await_names("one")
    fields = {"text": "Hi", "seed": 3, "max_tokens": 200}
    response = made.client().post("/inference/one", json=fields, buffered=False)
    second = made.backend(new)
    made.played.show(made.state(new), made.state(old, "draining", current=False, pinned=False))
    current = made.frontend.models
    until(lambda: current.current[0].build.id == "one-2", "it is swapped")
    assert made.text("one", "Ho") == spoken("Ho", 3, 5)
    assert (len(first.seatings), len(second.seatings)) == (1, 1)
    assert not made.played.got(Drop)
    assert response.get_data(as_text=True) == spoken("Hi", 3, 200)
    response.close()
    until(lambda: made.played.holds["one-1"] == 0, "the old build is dropped")
    made.played.show(made.state(new))
    until(lambda: len(current.states()) == 1, "it is forgotten")


def test_a_waiting_request_follows_its_name(made: Stage) -> None:
    """A build that is replaced while it loads is held by nobody, so it cannot block the new one."""
    old, new = made.build("one", 1), made.build("one", 2)
    made.played.show(made.state(old, "loading", loads=0))
    made.await_names("one")
    texts: list[str] = []
    waiting = in_thread(lambda: texts.append(made.text("one", "Hi")))
    until(lambda: made.played.holds.get("one-1") == 1, "the first build is ordered")
    loading = made.state(new, "loading", loads=0)
    made.played.show(loading, made.state(old, "loading", current=False, loads=0))
    until(lambda: made.played.holds.get("one-2") == 1, "the second build is ordered")
    until(lambda: made.played.holds["one-1"] == 0, "nobody needs the first one")
    first = made.backend(old)
    made.played.show(loading, made.state(old, "draining", current=False, pinned=False))
    second = made.backend(new)
    made.played.show(made.state(new))
    waiting.join(PATIENCE)
    assert texts == [spoken("Hi", 3, 5)]
    assert (len(first.seatings), len(second.seatings)) == (0, 1)


def test_a_stream_is_resumed_on_its_own_build_while_it_lives(tmp_path: Path) -> None:
    with stage(tmp_path, journal=True) as made:
        old, new = made.build("one", 1), made.build("one", 2)
        made.backend(old)
        made.played.show(made.state(old))
        made.await_names("one")
        fields = {"text": "Hi", "seed": 3, "max_tokens": 50}
        response = made.client().post("/inference/one", json=fields, buffered=False)
        stream = response.headers["X-Stream-ID"]
        response.close()
        made.backend(new)
        draining = made.state(old, "draining", current=False, pinned=False)
        made.played.show(made.state(new), draining)
        until(lambda: made.frontend.models.current[0].build.id == "one-2", "it is swapped")
        until(lambda: made.played.holds["one-1"] == 0, "the old build is not used")
        rest = made.client().get(f"/v1/streams/{stream}", buffered=True)
        assert (rest.status_code, rest.text) == (200, spoken("Hi", 3, 50))
        assert len(made.played.got(Hold)) >= 2
        made.played.show(made.state(new))
        until(lambda: len(made.frontend.models.states()) == 1, "the old build has ended")
        assert made.client().get(f"/v1/streams/{stream}").status_code == 409


def test_a_stream_is_resumed_on_its_own_build_after_it_has_ended(tmp_path: Path) -> None:
    """Its build is loaded once more, as after a restart with a new file of models."""
    with stage(tmp_path, journal=True) as made:
        settings = made.build("one").settings(made.frontend.settings)
        old = structs.replace(made.build("one"), id=build_id("one", settings))
        replaced, new = made.build("two"), made.build("one", 2)
        made.backend(old)
        made.backend(replaced)
        made.played.show(made.state(old), made.state(replaced))
        made.await_names("one", "two")
        fields = {"text": "Hi", "seed": 3, "max_tokens": 50}
        responses = [
            made.client().post(f"/inference/{name}", json=fields, buffered=False)
            for name in ("one", "two")
        ]
        streams = [each.headers["X-Stream-ID"] for each in responses]
        for each in responses:
            each.close()
        made.backends.pop(old.id).stop()
        made.backend(new)
        made.played.show(made.state(new))
        until(lambda: len(made.frontend.models.states()) == 1, "both have ended")
        before = len(made.played.got(Hold))
        rests: list[str] = []
        path = f"/v1/streams/{streams[0]}"
        resuming = in_thread(lambda: rests.append(made.client().get(path).get_data(as_text=True)))
        until(lambda: len(made.played.got(Hold)) > before, "its build is ordered")
        assert made.played.got(Hold)[-1].build == old
        made.backend(old)
        made.played.show(made.state(new), made.state(old, "draining", current=False, loads=2))
        resuming.join(PATIENCE)
        assert rests == [spoken("Hi", 3, 50)]
        changed = made.client().get(f"/v1/streams/{streams[1]}")
        assert changed.status_code == 404, "there is no model of its name any more"


def test_a_repeated_request_with_a_key_is_answered_by_its_own_build(tmp_path: Path) -> None:
    with stage(tmp_path, journal=True) as made:
        settings = made.build("one").settings(made.frontend.settings)
        old = structs.replace(made.build("one"), id=build_id("one", settings))
        new = made.build("one", 2)
        first = made.backend(old)
        made.played.show(made.state(old))
        made.await_names("one")
        fields = {"text": "Hi", "seed": 3, "max_tokens": 50, "stream": False}
        key = {"Idempotency-Key": "k"}
        answers = [made.client().post("/inference/one", json=fields, headers=key)]
        second = made.backend(new)
        draining = made.state(old, "draining", current=False, pinned=False)
        made.played.show(made.state(new), draining)
        until(lambda: made.frontend.models.current[0].build.id == "one-2", "it is swapped")
        answers.append(made.client().post("/inference/one", json=fields, headers=key))
        assert [each.status_code for each in answers] == [200, 200]
        assert answers[0].get_json() == answers[1].get_json()
        assert (len(first.seatings), len(second.seatings)) == (1, 0), "it was recorded"
        made.played.show(made.state(new))
        until(lambda: len(made.frontend.models.states()) == 1, "the old build has ended")
        reused = made.client().post("/inference/one", json=fields | {"seed": 4}, headers=key)
        assert reused.status_code == 409


def test_a_receipt_is_replayed_by_its_own_build(tmp_path: Path) -> None:
    with stage(tmp_path) as made:
        old, new = made.build("one", 1), made.build("one", 2)
        first = made.backend(old)
        made.played.show(made.state(old))
        made.await_names("one")
        fields = {"text": "Hi", "seed": 3, "max_tokens": 50, "stream": False, "receipt": True}
        receipt = made.client().post("/inference/one", json=fields).get_json()["receipt"]
        question = receipt | {"replies": [{"prompt": 0, "choice": 0}]}
        del question["model"]
        second = made.backend(new)
        draining = made.state(old, "draining", current=False, pinned=False)
        made.played.show(made.state(new), draining)
        until(lambda: made.frontend.models.current[0].build.id == "one-2", "it is swapped")
        replayed = made.client().post("/v1/replay", json=question)
        assert replayed.status_code == 200, replayed.text
        assert replayed.get_json()["receipt"]["replies"] == receipt["replies"]
        assert (len(first.seatings), len(second.seatings)) == (2, 0)
        unknown = made.client().post("/v1/replay", json=question | {"build": "no such build"})
        assert unknown.status_code == 409


def test_builds_in_use_are_held_again_at_a_new_supervisor(made: Stage) -> None:
    build = made.build("one")
    made.backend(build, step_seconds=0.002)
    made.played.show(made.state(build, pinned=False))
    made.await_names("one")
    fields = {"text": "Hi", "seed": 3, "max_tokens": 200}
    response = made.client().post("/inference/one", json=fields, buffered=False)
    made.played.end()
    slot = made.frontend.models.current[0]
    until(lambda: not slot.held, "the end is seen")
    made.played.begin()
    until(lambda: len(made.played.got(Hello)) == 2, "it is connected again")
    assert [each.id for each in made.played.got(Hello)[-1].holds] == ["one-1"]
    assert made.text("one", "Ho") == spoken("Ho", 3, 5)
    assert response.get_data(as_text=True) == spoken("Hi", 3, 200)
    response.close()
    until(lambda: made.played.holds["one-1"] == 0, "it is dropped")


def test_a_model_whose_text_side_is_bad_is_refused_alone(made: Stage) -> None:
    good = made.build("good")
    bad = made.build("bad", variables={"MODEL": str(made.folder / "nothing")})
    made.backend(good)
    made.played.show(made.state(good), made.state(bad))
    made.await_names("good", "bad")
    refused = made.client().post("/inference/bad", json={"text": "Hi"})
    assert refused.status_code == 503
    assert "the model 'bad' cannot be used: " in refused.text
    assert made.text("good", "Hi") == spoken("Hi", 3, 5)
    until(lambda: made.played.holds["bad-1"] in {0, 1}, "it was held")


def test_a_text_side_that_does_not_start_is_closed_and_made_again(
    made: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sessions may have started, and its helpers not."""
    monkeypatch.setattr(slot, "FAULT_SECONDS", 0.0)
    started, closed = list[ServedModel](), list[ServedModel]()
    start, close = ServedModel.start, ServedModel.close

    def half(served: ServedModel, on_ready: Callable[[], None] = lambda: None) -> None:
        start(served, on_ready)
        started.append(served)
        if len(started) == 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def noted(served: ServedModel) -> None:
        closed.append(served)
        close(served)

    monkeypatch.setattr(ServedModel, "start", half)
    monkeypatch.setattr(ServedModel, "close", noted)
    build = made.build("one")
    made.backend(build)
    made.played.show(made.state(build))
    made.await_names("one")
    assert made.text("one", "Hi") == spoken("Hi", 3, 5)
    assert closed == started[:1]
    assert len(started) == 2


def test_health_reports_each_of_several_models(made: Stage) -> None:
    big, small = made.build("big", load="start"), made.build("small")
    made.played.show(made.state(big, "loading", loads=0, stage="reading"), problem="line 3")
    made.await_names("big")
    client = made.client()
    report = client.get("/readiness")
    assert report.status_code == 503
    assert report.get_json()["problem"] == "line 3"
    made.backend(big)
    made.played.show(made.state(big), made.state(small, "unloaded"))
    until(lambda: client.get("/readiness").status_code == 200, "it is ready")
    models = client.get("/health").get_json()["models"]
    assert models["big"]["state"] == "ready"
    assert models["big"]["rows"] == {"seated": 0, "of": 32}
    assert models["small"] == {"state": "unloaded", "fingerprint": "small-1"}
    listed = {each["id"]: each for each in client.get("/v1/models").get_json()["data"]}
    assert listed["big"]["status"] == {"value": "loaded"}
    assert listed["small"]["status"] == {"value": "unloaded"}
    assert listed["small"]["max_model_len"] == 4096
    until(lambda: made.played.got(Hold) != [], "it is held")
    assert [each.build.id for each in made.played.got(Hold)] == ["big-1"]


def test_models_are_loaded_and_unloaded_by_hand(made: Stage) -> None:
    build = made.build("one")
    made.played.show(made.state(build, "unloaded"))
    made.await_names("one")
    assert made.frontend.models.load("one") == ""
    made.played.problem = "it is kept"
    assert made.frontend.models.unload("one") == "it is kept"


def test_only_administrators_are_shown_paths(made: Stage) -> None:
    lost = made.state(made.build("one"), "failed", reason="no /srv/models/one", retry_seconds=30.0)
    other = made.state(made.build("two"), "unloaded")
    made.played.show(lost, other, problem="/srv/models.json:3: no")
    made.await_names("one", "two")
    client = made.client()
    own = client.get("/health").get_json()
    strangers = client.get("/health", headers={"X-Forwarded-For": "192.0.2.1"}).get_json()
    assert own["models"]["one"]["reason"] == "no /srv/models/one"
    assert own["problem"] == "/srv/models.json:3: no"
    assert strangers["models"]["one"]["reason"] == "no …/one"
    assert strangers["problem"] == "…/models.json:3: no"
    refused = client.post("/inference/one", json={"text": "Hi"})
    assert "cannot be loaded: no …/one" in refused.get_json()["message"]
