"""T-55 to T-64, requests to rows and back: threads, queues, 32 rows, refill, isolation, seams."""

import contextlib
import json
import threading
from collections.abc import Iterator

import pytest

import decode_backend
from contract.asking import PATH, get, is_error, post
from contract.in_process import RecordingEngine, read, running_sessions, submit
from frontend.serving import serving
from frontend.sessions.played import open_choices
from processes import Running, running_server, until
from raw_http import Client, gather, request_bytes
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.backend.rows import Rows
from rowcast.engine.engine import Drawn, Feed
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.transport.memory import MemoryTransport
from rowcast.wire import Cancel, Tokens
from scripted_replies import long_reply, scripted_reply

ROWS = 32


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose replies last longer than the tests that open them."""
    env = {"STEP_SECONDS": "0.03"}
    with running_server(tmp_path_factory.mktemp("slow"), env=env) as running:
        yield running


@contextlib.contextmanager
def _open(server: Running, count: int) -> Iterator[list[Client]]:
    """Long streams whose headers have arrived; the first 32 have begun to produce text."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port)) for _ in range(count)]
        for number, client in enumerate(clients):
            client.send(_long(f"Stream {number}. ")).read_headers()
        for client in clients[:ROWS]:
            client.read_body()
        yield clients
    until(lambda: server.rows_seated() == 0 and server.waiting() == 0, "everyone has left")


def _long(text: str) -> bytes:
    seed = long_reply(text, at_least=600)
    return request_bytes(PATH, {"text": text, "seed": seed, "max_tokens": 2048})


@pytest.mark.slow
def test_t55_each_request_has_a_thread_of_its_own(slow: Running) -> None:
    """40 streams are open at once in one worker, and other requests are answered meanwhile."""
    assert len(slow.workers()) == 1
    with _open(slow, 40) as clients:
        assert get(slow.port, "/liveness").status == 200
        assert not any(client.so_far().whole for client in clients)


@pytest.mark.slow
def test_t56_only_validated_prompts_reach_the_input_queue(slow: Running) -> None:
    with _open(slow, ROWS):
        for broken in ({"text": ""}, {"text": "a", "top_k": 0}, {"prompt": "a"}):
            assert is_error(post(slow.port, broken), 400)
        with Client(slow.port) as valid:
            valid.send(_long("The valid one. ")).read_headers()
            until(lambda: slow.waiting() == 1, "the valid prompt waits for a row")


@pytest.mark.slow
def test_t57_prompts_move_into_32_rows(slow: Running) -> None:
    assert slow.health()["rows"] == {"of": ROWS, "seated": 0}
    with _open(slow, ROWS + 8):
        until(lambda: slow.rows_seated() == ROWS and slow.waiting() == 8, "the rows are taken")


def test_t58_prefill_shares_the_steps_of_decode() -> None:
    """There is no prefill phase: a step feeds one row a single token and another row many."""
    transport = MemoryTransport(seconds=0)
    engine = RecordingEngine()
    backend = DecodeBackend(transport.backend_port, lambda: engine)
    frontend = transport.connect()
    frontend.send([submit("short", max_tokens=30)])
    backend.step()
    frontend.send([submit("a long prompt. " * 20, session="another")])
    for _ in range(6):
        backend.step()
    decoded, prefilled = zip(*(sorted(feeds.values()) for feeds in engine.fed[1:]), strict=True)
    assert set(decoded) == {1}, "decode is fed in every step"
    assert sum(prefilled[:5]) == 300, "and the prompt in the same ones"


@pytest.mark.slow
def test_t59_tokens_come_while_the_reply_is_still_being_made(slow: Running) -> None:
    with Client(slow.port) as client:
        client.send(_long("One by one. "))
        for count in (1, 50, 150):
            assert not client.read_body(count).so_far().whole
        assert len(client.so_far().chunks) > 5
        until(lambda: slow.rows_seated() == 1, "its row is still taken")


def test_t60_one_thread_fills_one_queue_a_session() -> None:
    others = set(threading.enumerate())
    with running_sessions() as sessions:
        started = set(threading.enumerate()) - others
        readers = [each for each in started if each.name == "demultiplexer"]
        opened = {
            text: open_choices(sessions, submit(text))[0] for text in ("first", "second", "third")
        }
        assert len({session.submit.session for session in opened.values()}) == 3
        for text, session in opened.items():
            assert read(session) == scripted_reply(text, 0, 20).tokens
        assert len(readers) == 1


@pytest.mark.slow
def test_t61_no_two_users_get_each_others_tokens(server: Running) -> None:
    """Same prompt, same session_id, another seed: each user still gets their own reply."""
    body = {"text": "Who am I?", "max_tokens": 60, "session_id": "the-same"}
    answers = gather(
        server.port, [request_bytes(PATH, body | {"seed": seed}) for seed in range(100)]
    )
    expected = [scripted_reply("Who am I?", seed, 60).text for seed in range(100)]
    assert [answer.text for answer in answers] == expected
    assert len(set(expected)) == 100


def test_t60_user_id_is_accepted_where_session_id_is(server: Running) -> None:
    """Neither decides whose reply it is: each request has a session of its own."""
    body = {"text": "Who am I?", "max_tokens": 12, "seed": 3}
    for name in ("session_id", "user_id"):
        answer = post(server.port, body | {name: "the-same"})
        assert answer.text == scripted_reply("Who am I?", 3, 12).text
        assert is_error(post(server.port, body | {name: 5}), 400, name, "expected a string")


@pytest.mark.slow
def test_t62_a_row_is_refilled_while_the_others_go_on(slow: Running) -> None:
    with _open(slow, ROWS) as clients, Client(slow.port) as next_one:
        body = {"text": "The next one. ", "max_tokens": 3}
        next_one.send(request_bytes(PATH, body)).read_headers()
        until(lambda: slow.waiting() == 1, "it waits, since all rows are taken")
        clients[0].leave()
        assert next_one.finish().whole
        assert not any(client.so_far().whole for client in clients[1:])


def test_t62_a_row_is_refilled_in_the_step_after_it_was_freed() -> None:
    transport = MemoryTransport()
    engine = RecordingEngine()
    backend = DecodeBackend(transport.backend_port, lambda: engine)
    frontends = [transport.connect() for _ in range(ROWS + 1)]
    for number, frontend in enumerate(frontends):
        frontend.send([submit("x", seed=number, max_tokens=2 if number == 0 else 9)])
    for _ in range(3):
        backend.step()
    assert [len(feeds) for feeds in engine.fed] == [ROWS] * 3


def test_t62_a_finished_user_leaves_the_list_of_users_and_the_next_one_joins_it() -> None:
    transport = MemoryTransport()
    backend = DecodeBackend(transport.backend_port, RecordingEngine)
    frontend = transport.connect()
    seed = long_reply("x", at_least=9)
    lengths = {f"user {number}": 9 - (number == 3) * 7 for number in range(ROWS)}
    frontend.send([submit("x", seed, length, user) for user, length in lengths.items()])
    backend.step()
    assert backend.users == list(lengths)
    frontend.send([submit("x", seed, 9, "the next one")])
    backend.step()
    assert backend.users == [user for user in lengths if user != "user 3"]
    backend.step()
    assert backend.users[-1] == "the next one"
    assert len(backend.users) == ROWS
    frontend.send([Cancel(user, 0) for user in (*lengths, "the next one")])
    backend.step()
    assert backend.users == []


def _ending_seed(text: str) -> int:
    return next(seed for seed in range(500) if scripted_reply(text, seed).reason == "stop")


def test_t63_the_models_end_of_text_closes_reply_and_connection(server: Running) -> None:
    text = "Until the end. "
    seed = _ending_seed(text)
    body = {"text": text, "seed": seed}
    assert post(server.port, body).text == scripted_reply(text, seed).text
    last = post(server.port, body, "/chat/falcon40b").text.rstrip().splitlines()[-1]
    assert json.loads(last.removeprefix("data: "))["finish_reason"] == "stop"


@pytest.mark.parametrize("path", [PATH, "/chat/falcon40b"])
@pytest.mark.parametrize("stream", [True, False])
def test_t63_a_reply_that_ends_deletes_its_session_with_its_queue(path: str, stream: bool) -> None:
    """The request closes its session itself, when its last byte is sent."""
    text = "Until the end. "
    seed = _ending_seed(text)
    with serving() as served:
        sessions = served.sessions
        opened = served.stream(path, text=text, seed=seed)
        assert len(sessions) == 1
        for _ in range(20):
            answer = served.post(path, text=text, seed=seed, stream=stream)
            assert answer.status_code == 200
            assert len(sessions) == 1, "the one that is still open"
        opened.close()
        assert len(sessions) == 0


class MockBackend(DecodeBackend):
    """The promised methods, overridden as the former mock server did."""

    def load_model_and_tokenizer(self) -> None:
        self._engine = ScriptedEngine(rows=2)
        self._rows = Rows(2)

    def compile(self) -> None:
        self.compiled = True

    def decode(self, feeds: list[Feed]) -> list[Drawn]:
        for feed in feeds:
            self._rows.at(feed.row).fed += len(feed.tokens)
        return [Drawn(feed.row, (ord("!"),)) for feed in feeds if feed.draws]


def _no_engine() -> ScriptedEngine:
    raise AssertionError("the mock loads no engine")


@pytest.mark.slow
def test_t64_decode_backend_keeps_its_three_seams() -> None:
    assert decode_backend.DecodeBackend is DecodeBackend
    transport = MemoryTransport(seconds=0)
    backend = MockBackend(transport.backend_port, _no_engine)
    frontend = transport.connect()
    frontend.send([submit("anything", max_tokens=3)])
    for _ in range(4):
        backend.step()
    events = [event for _ in range(12) for event in frontend.receive()]
    pieces = [bytes(event.tokens) for event in events if isinstance(event, Tokens)]
    assert b"".join(pieces) == b"!!!"
    assert backend.compiled
