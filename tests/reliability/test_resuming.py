"""Streams that continue, byte for byte, although every process that carried them was killed."""

import random
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from commands.bench.dialects.event_reader import EventReader
from http_client.events import Event
from processes import Running, family, gone, kill, until
from raw_http import Answer, Client, ask, request_bytes
from reliability.conftest import Start
from scripted_replies import long_reply, scripted_reply

pytestmark = pytest.mark.slow

STEP = 0.005
TOKENS = 200


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


def body(name: str, tokens: int = TOKENS) -> dict[str, object]:
    text = f"This is {name}. "
    return {"text": text, "seed": long_reply(text, tokens, at_least=tokens), "max_tokens": tokens}


def expected(asked: dict[str, object]) -> bytes:
    text, seed, tokens = str(asked["text"]), int(str(asked["seed"])), int(str(asked["max_tokens"]))
    return scripted_reply(text, seed, tokens).text.encode()


def begin(port: int, asked: dict[str, object], path: str = "/", **headers: str) -> Client:
    client = Client(port).send(request_bytes(path, asked, headers=headers))
    return client.read_body(40)


def stream_of(client: Client) -> str:
    return client.so_far().headers["x-stream-id"]


def rest_of(port: int, stream: str, start: object, method: str = "GET") -> Answer:
    return ask(port, request_bytes(f"/v1/streams/{stream}?from={start}", method=method))


def holder(server: Running, client: Client) -> psutil.Process:
    """Return the worker at the other end of the connection."""
    port = client.socket.getsockname()[1]
    for worker in server.workers():
        if any(link.raddr and link.raddr.port == port for link in worker.net_connections()):
            return worker
    raise AssertionError("no worker holds the stream")


def test_a_killed_worker_s_streams_go_on_in_the_other(start: Start, journal: Path) -> None:
    server = start(WORKERS=2, STEP_SECONDS=STEP, JOURNAL=journal)
    asked = [body(f"stream {number}", 400) for number in range(4)]
    clients = [begin(server.port, each) for each in asked]
    killed = holder(server, clients[0])
    lost = [client for client in clients if holder(server, client) == killed]
    killed.kill()
    told = [client.finish() for client in clients]
    assert not told[0].whole, "it came to its end too early for this to show anything"
    for client, had, each in zip(clients, told, asked, strict=True):
        assert had.whole or client in lost
        rest = rest_of(server.port, stream_of(client), len(had.body))
        assert rest.whole
        assert had.body + rest.body == expected(each)


def test_a_killed_server_s_streams_go_on_in_the_next(start: Start, journal: Path) -> None:
    server = start(STEP_SECONDS=STEP, JOURNAL=journal)
    asked = [body(f"stream {number}", 400) for number in range(3)]
    clients = [begin(server.port, each) for each in asked]
    everyone = family(server.process.pid)
    kill(everyone)
    server.process.wait()
    until(lambda: gone(everyone), "everyone has ended")
    told = [client.finish() for client in clients]
    assert not told[-1].whole, "it came to its end too early for this to show anything"
    again = start(JOURNAL=journal)
    for client, had, each in zip(clients, told, asked, strict=True):
        rest = rest_of(again.port, stream_of(client), len(had.body))
        assert rest.whole
        assert had.body + rest.body == expected(each)


def test_streams_that_a_stop_cut_go_on_after_it(start: Start, journal: Path) -> None:
    server = start(STEP_SECONDS=0.02, JOURNAL=journal, GRACEFUL_SECONDS=2)
    asked = body("a long stream", 250)
    client = begin(server.port, asked)
    assert server.stop() == 0
    told = client.finish()
    assert not told.whole
    rest = rest_of(start(JOURNAL=journal).port, stream_of(client), len(told.body))
    assert told.body + rest.body == expected(asked)


class Texts(EventReader):
    """Collects ids and texts of the native dialect's events."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str]] = []
        self.end: dict[str, object] = {}

    def on_event(self, event: Event) -> None:
        if event.name == "end":
            self.end = self.load(event.data)
        else:
            self.told.append((event.id or "", str(self.load(event.data)["text"])))


def test_a_client_that_vanished_goes_on_after_any_event(start: Start, journal: Path) -> None:
    server = start(STEP_SECONDS=STEP, JOURNAL=journal)
    asked = body("a stream of events", 120)
    chance = random.Random(7)
    request, told, stream = request_bytes("/chat/scripted", asked), list[tuple[str, str]](), ""
    for _ in range(4):
        client = Client(server.port).send(request).read_body(chance.randrange(100, 900))
        stream = stream or stream_of(client)
        reader = Texts()
        reader.feed([client.so_far().body])
        client.abort()
        assert not reader.end, "it came to its end too early for this to show anything"
        told += reader.told
        last = {"Last-Event-ID": told[-1][0]}
        request = request_bytes(f"/v1/streams/{stream}", method="GET", headers=last)
    reader = Texts()
    reader.feed([ask(server.port, request).body])
    assert "".join(text for _, text in told + reader.told) == expected(asked).decode()
    assert reader.end["completion_tokens"] == 120


def test_a_delete_ends_a_stream_that_another_worker_computes(start: Start, journal: Path) -> None:
    server = start(WORKERS=2, STEP_SECONDS=STEP, JOURNAL=journal)
    clients = [begin(server.port, body(f"stream {number}", 2000)) for number in range(3)]
    for client in clients:
        assert rest_of(server.port, stream_of(client), "", "DELETE").status == 204
    for client in clients:
        assert not client.finish().whole
        assert rest_of(server.port, stream_of(client), 0).status == 410
    until(lambda: server.rows_seated() == 0, "all rows are free")


def test_a_repeated_request_joins_the_first_in_any_worker(start: Start, journal: Path) -> None:
    server = start(WORKERS=2, STEP_SECONDS=STEP, JOURNAL=journal)
    asked = body("a stream with a key")
    key = {"Idempotency-Key": "once"}
    first = begin(server.port, asked, **key)
    others = [Client(server.port).send(request_bytes("/", asked, headers=key)) for _ in range(5)]
    seen = {server.rows_seated() for _ in range(20)}
    assert max(seen) <= 1, "it is computed more than once"
    answers = [client.finish() for client in (first, *others)]
    assert {answer.headers["x-stream-id"] for answer in answers} == {stream_of(first)}
    assert {answer.body for answer in answers} == {expected(asked)}


def test_who_follows_a_killed_worker_goes_on_by_itself(start: Start, journal: Path) -> None:
    server = start(WORKERS=2, STEP_SECONDS=0.01, JOURNAL=journal)
    asked = body("a stream with a key")
    key = {"Idempotency-Key": "once"}
    first = begin(server.port, asked, **key)
    killed = holder(server, first)
    kept: list[Client] = []
    for _ in range(100):  # whichever worker is less busy accepts a connection
        client = begin(server.port, asked, **key)
        if holder(server, client) != killed:
            kept.append(client)
        else:
            client.socket.close()
        if len(kept) == 3:
            break
    assert kept, "one worker has them all"
    killed.kill()
    for client in kept:
        assert client.finish().body == expected(asked)


def full(_: Path, server: Running) -> None:
    """Keep the journal's files from growing, as on a full disk."""
    for process in server.named("rowcast.journal.service"):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def damaged(journal: Path, _: Running) -> None:
    for file in journal.parent.iterdir():
        with file.open("r+b") as opened:
            opened.write(b"\0" * file.stat().st_size)


def replaced(journal: Path, _: Running) -> None:
    shutil.rmtree(journal.parent)
    journal.parent.write_text("a file stands here")


@pytest.mark.parametrize("harm", [full, damaged, replaced])
def test_a_journal_that_fails_cuts_no_stream(
    start: Start, journal: Path, harm: Callable[[Path, Running], None]
) -> None:
    server = start(STEP_SECONDS=STEP, JOURNAL=journal)
    asked = body("a stream before")
    before = begin(server.port, asked)
    harm(journal, server)
    assert before.finish().body == expected(asked)
    until(lambda: "failing" in str(server.health()["journal"]), "the journal is seen to fail")
    asked = body("a stream after", 20)
    answer = ask(server.port, request_bytes("/", asked))
    assert answer.body == expected(asked)
    assert "x-stream-id" not in answer.headers
    assert server.ready()


def test_a_journal_that_works_again_keeps_streams_again(start: Start, journal: Path) -> None:
    server = start(JOURNAL=journal)
    (process,) = server.named("rowcast.journal.service")
    limits = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    asked = body("a stream", 20)
    ask(server.port, request_bytes("/", asked))
    until(lambda: "failing" in str(server.health()["journal"]), "the journal is seen to fail")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)
    until(lambda: server.health()["journal"] == "ok", "the journal works again")
    stream = ask(server.port, request_bytes("/", asked)).headers["x-stream-id"]
    assert rest_of(server.port, stream, 0).body == expected(asked)


def test_a_journal_whose_process_is_killed_is_started_again(start: Start, journal: Path) -> None:
    server = start(STEP_SECONDS=STEP, JOURNAL=journal)
    asked = body("a stream")
    client = begin(server.port, asked)
    (process,) = server.named("rowcast.journal.service")
    process.kill()
    assert client.finish().body == expected(asked)
    until(lambda: server.health()["journal"] == "ok", "the journal works again")
    until(lambda: rest_of(server.port, stream_of(client), 0).status == 200, "it is found")
    assert rest_of(server.port, stream_of(client), 0).body == expected(asked)


def test_the_journal_is_its_owner_s_alone(start: Start, journal: Path) -> None:
    server = start(JOURNAL=journal)
    ask(server.port, request_bytes("/", body("a stream", 20)))
    assert {file.stat().st_mode & 0o777 for file in journal.parent.iterdir()} == {0o600}
    assert journal.parent.stat().st_mode & 0o777 == 0o700
