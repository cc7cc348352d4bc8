"""The journal client: many calls per commit, short waits, and no call lost.

Covers `journal/service`.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from processes import ROOT, until
from rowcast.errors import JournalFailing
from rowcast.frontend.resumable import journal_client as module
from rowcast.frontend.resumable.journal_client import JournalClient
from rowcast.journal.journal import Journal
from rowcast.journal.record import Record
from rowcast.journal.service import answer

from ..serving import kept_at


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JournalClient]:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)
    client = JournalClient(kept_at(tmp_path / "journal.db"))
    client.start()
    client.do(Journal.beat)
    yield client
    process(client).resume()
    client.close()


def process(client: JournalClient) -> psutil.Process:
    """Return the journal's process."""
    until(lambda: client._process is not None, "it has a process")
    assert client._process is not None
    return psutil.Process(client._process.pid)


def record(name: str) -> Record:
    return Record(
        id=name,
        team="team",
        token_id="",
        request_id="",
        path="/",
        body=b"",
        seed=1,
        build="",
        prompt_digest=b"",
        created=1.0,
    )


def test_a_call_gives_what_the_method_gives(client: JournalClient) -> None:
    client.do(Journal.begin, record("a"))
    found = client.do(Journal.find, "a", "team")
    assert found is not None
    assert (found.id, found.state) == ("a", "open")
    assert found.owner is not None
    assert found.owner.startswith(f"{os.getpid()}-"), "the frontend's, which may outlive it"
    assert client.do(Journal.find, "b", "team") is None


def test_calls_that_come_during_a_commit_share_the_next(client: JournalClient) -> None:
    disk = process(client)
    disk.suspend()
    client.soon(Journal.begin, record("first"))
    until(lambda: not client._jobs, "the first is being written")
    for number in range(100):
        client.soon(Journal.begin, record(f"{number}"))
    assert len(client._jobs) == 100
    disk.resume()
    assert client.do(Journal.find, "99", "team") is not None


def test_what_fails_fails_as_a_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", keep_seconds=9, reply_seconds=9, limit=1 << 24)
    one = ("begin", (record("a"),))
    assert isinstance(answer(journal, [one, one]), str)
    assert answer(journal, [("find", ("a", "team"))]) == [None]
    assert answer(journal, [one, ("take", ("a", journal.owner))]) == [None, True]
    journal.close()


def test_a_disk_that_stands_still_is_waited_for_once(
    client: JournalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = process(client)
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    disk.suspend()
    with pytest.raises(JournalFailing, match="respond"):
        client.do(Journal.begin, record("given up"))
    monkeypatch.setattr(module, "PATIENCE", 1000.0)
    with pytest.raises(JournalFailing, match="respond"):
        client.do(Journal.begin, record("not even begun"))
    client.soon(Journal.begin, record("later"))
    disk.resume()
    until(lambda: not client.problem, "the disk moves again")
    monkeypatch.setattr(module, "PATIENCE", 5.0)
    assert client.do(Journal.find, "not even begun", "team") is None
    assert client.do(Journal.find, "later", "team") is not None


@pytest.mark.slow
def test_a_process_that_is_killed_is_started_again_and_nothing_is_lost(
    client: JournalClient,
) -> None:
    disk = process(client)
    disk.suspend()
    client.soon(Journal.begin, record("handed over"))
    until(lambda: not client._jobs, "it is being written")
    disk.send_signal(signal.SIGKILL)
    until(lambda: bool(client.problem), "it is missed")
    until(lambda: not client.problem, "it is started again")
    assert client.do(Journal.find, "handed over", "team") is not None


def test_what_was_handed_over_is_written_before_the_end(tmp_path: Path) -> None:
    client = JournalClient(kept_at(tmp_path / "journal.db"))
    client.start()
    for number in range(50):
        client.soon(Journal.begin, record(f"{number}"))
    client.close()
    journal = Journal(tmp_path / "journal.db", keep_seconds=9, reply_seconds=9, limit=1 << 24)
    assert all(journal.find(f"{number}", "team") for number in range(50))
    journal.close()


GREEN = """
import gevent.monkey; gevent.monkey.patch_all()
import gevent, signal, sys
from pathlib import Path
from rowcast.frontend.resumable.journal_client import JournalClient, JournalConfig
from rowcast.journal.journal import Journal
config = JournalConfig(path=Path(sys.argv[1]), keep_seconds=9, reply_seconds=9, limit=1 << 24)
client = JournalClient(config)
client.start()
client.do(Journal.beat)
client._process.send_signal(signal.SIGSTOP)
job = gevent.spawn(client.do, Journal.beat)
turns = 0
while turns < 20:
    gevent.sleep(0.01)
    turns += 1
assert not job.ready()
client._process.send_signal(signal.SIGCONT)
job.get(timeout=5)
client.close()
print(turns)
"""


@pytest.mark.slow
def test_a_disk_that_stands_still_stalls_no_green_thread(tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", GREEN, str(tmp_path / "journal.db")],
        env={"PYTHONPATH": str(ROOT / "inference-api")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.stdout == "20\n", shown.stderr
