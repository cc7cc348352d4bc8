"""The journal: who owns a stream, what is kept of it, and for how long.

Covers `eviction`, `journal/record`, `journal/schema`.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowcast.journal.journal import BUILDS, LEASE_SECONDS, Journal
from rowcast.journal.record import Record
from rowcast.journal.service import Call, answer

SECRET = b"the prompt that nobody may find"


class Clock:
    """The two clocks that the journal reads."""

    def __init__(self) -> None:
        self.monotonic_now = 1000.0
        self.wall_now = 1_000_000.0

    def monotonic(self) -> float:
        return self.monotonic_now

    def time(self) -> float:
        return self.wall_now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


class Held:
    """Two journals on one file, as two processes would have, and their clock."""

    def __init__(self, path: Path, limit: int = 1 << 24) -> None:
        self.clock = Clock()
        self.one, self.two = (
            Journal(path, keep_seconds=60, reply_seconds=10, limit=limit, clock=self.clock)
            for _ in range(2)
        )

    def close(self) -> None:
        self.one.close()
        self.two.close()


@pytest.fixture
def held(path: Path) -> Iterator[Held]:
    both = Held(path)
    yield both
    both.close()


def record(name: str = "a1", team: str = "blue", key: str | None = None) -> Record:
    return Record(
        id=name,
        team=team,
        token_id="t",
        request_id="r",
        path="/",
        body=SECRET,
        seed=2**64 - 1,
        build="b",
        prompt_digest=b"digest",
        created=5.5,
        key=key,
    )


def test_a_record_is_found_as_it_was_kept_by_its_team_alone(held: Held) -> None:
    held.one.begin(record())
    found = held.two.find("a1", "blue")
    assert found is not None
    assert (found.state, found.owner) == ("open", held.one.owner)
    kept = {
        name: getattr(found, name) for name in ("body", "seed", "prompt_digest", "created", "key")
    }
    assert kept == {name: getattr(record(), name) for name in kept}
    assert held.two.find("a1", "red") is None
    assert held.two.find("a2", "blue") is None


def test_batches_come_in_their_order_and_only_what_is_new(held: Held) -> None:
    held.one.begin(record())
    for batch in (b"1", b"2"):
        assert held.one.append("a1", batch)
    first = held.two.news("a1")
    assert first is not None
    assert (first.batches, first.owner, first.lives) == ([b"1", b"2"], held.one.owner, True)
    assert held.one.append("a1", b"3")
    second = held.two.news("a1", first.number)
    assert second is not None
    assert second.batches == [b"3"]
    third = held.two.news("a1", second.number)
    assert third is not None
    assert (third.batches, third.number) == ([], second.number)


def test_only_the_owner_appends_and_it_hears_that_it_is_not_the_owner_any_more(held: Held) -> None:
    held.one.begin(record())
    assert not held.two.append("a1", b"x")
    assert held.two.take("a1", held.one.owner)
    assert not held.one.append("a1", b"x")
    assert held.two.append("a1", b"y")
    assert held.one.ousted() == [("a1", "open")]
    assert held.one.ousted() == []
    held.one.let_go("a1", b"", False)
    held.one.forget("a1")
    assert held.two.append("a1", b"z")


def test_of_two_who_would_take_a_stream_one_does(held: Held) -> None:
    held.one.begin(record())
    held.one.let_go("a1", b"", False)
    assert held.one.take("a1", None)
    assert not held.two.take("a1", None)


def test_a_stream_that_is_taken_again_by_its_owner_is_not_lost_to_it(held: Held) -> None:
    held.one.begin(record())
    assert held.one.take("a1", held.one.owner)
    assert held.one.ousted() == []
    assert held.one.append("a1", b"x")


def test_an_ended_stream_cannot_be_taken(held: Held) -> None:
    held.one.begin(record())
    held.one.let_go("a1", b"", True)
    assert not held.two.take("a1", None)
    news = held.two.news("a1")
    assert news is not None
    assert (news.state, news.owner, news.lives) == ("ended", None, False)


def test_a_key_has_one_request_in_each_team(held: Held) -> None:
    assert held.one.claim(record(key="k")) is None
    taken = held.two.claim(record("a2", key="k"))
    assert taken is not None
    assert taken[0].id == "a1"
    assert held.two.claim(record("a3", team="red", key="k")) is None
    assert held.two.claim(record("a4", key="other")) is None


def test_an_owner_that_shows_no_sign_of_life_has_none(held: Held) -> None:
    held.one.begin(record())
    held.clock.monotonic_now += LEASE_SECONDS - 0.1
    news = held.two.news("a1")
    assert news is not None
    assert news.lives
    held.clock.monotonic_now += 0.2
    news = held.two.news("a1")
    assert news is not None
    assert not news.lives
    held.one.beat()
    news = held.two.news("a1")
    assert news is not None
    assert news.lives


def test_an_owner_whose_process_ended_is_seen_at_once(held: Held) -> None:
    held.one.owner = f"{2**22 + 1}-00000000"  # no process has such an id
    held.one.begin(record())
    news = held.two.news("a1")
    assert news is not None
    assert not news.lives


def test_a_cancelled_stream_keeps_nothing_and_its_owner_hears_of_it(held: Held) -> None:
    held.one.begin(record())
    held.one.append("a1", SECRET)
    assert not held.two.cancel("a1", "red")
    assert held.two.cancel("a1", "blue")
    assert held.one.ousted() == [("a1", "cancelled")]
    found, news = held.two.find("a1", "blue"), held.two.news("a1")
    assert found is not None
    assert news is not None
    assert (found.body, found.state, news.batches) == (b"", "cancelled", [])


def swept(held: Held) -> int:
    with held.one.transaction():
        return held.one.sweep()


def test_what_is_past_its_time_is_swept_away(held: Held) -> None:
    held.one.begin(record())
    held.one.let_go("a1", b"", True)
    held.one.begin(record("a2"))
    held.clock.wall_now += 59
    assert swept(held) == 0
    held.clock.wall_now += 2
    assert swept(held) == 1
    assert held.one.find("a1", "blue") is None
    assert held.one.find("a2", "blue") is not None
    held.clock.wall_now += 10
    assert swept(held) == 1


def test_nothing_of_what_was_swept_is_left_on_the_disk(held: Held, path: Path) -> None:
    held.one.begin(record())
    held.one.append("a1", SECRET)
    held.one.let_go("a1", b"", True)
    assert SECRET in b"".join(file.read_bytes() for file in path.parent.iterdir())
    held.clock.wall_now += 61
    swept(held)
    assert SECRET not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_a_full_journal_gives_the_oldest_away_before_their_time(path: Path) -> None:
    held = Held(path, limit=1 << 20)
    for number in range(12):
        held.one.begin(record(f"a{number}"))
        held.one.append(f"a{number}", b"x" * 80_000)
        if number != 3:
            held.one.let_go(f"a{number}", b"", True)
        held.clock.wall_now += 1
    with pytest.raises(sqlite3.OperationalError, match="full"):
        held.one.append("a3", b"x" * 200_000)
    assert swept(held) > 0
    assert held.one.find("a0", "blue") is None
    assert held.one.find("a3", "blue") is not None, "it is computed now"
    assert held.one.append("a3", b"x" * 200_000)
    held.close()


def test_what_does_not_fit_any_more_has_the_oldest_make_room_at_once(path: Path) -> None:
    held = Held(path, limit=1 << 20)
    for number in range(60):
        name = f"a{number}"
        calls: list[Call] = [("begin", (record(name),)), ("append", (name, b"x" * 80_000))]
        if number != 3:
            calls.append(("let_go", (name, b"", True)))
        assert isinstance(answer(held.one, calls), list), f"stream {number} was not kept"
        assert held.two.find(name, "blue") is not None
        held.clock.wall_now += 1
    assert held.one.find("a0", "blue") is None
    assert held.one.find("a3", "blue") is not None, "it is computed now"
    held.close()


def test_where_nothing_can_make_room_it_says_that_it_is_full(path: Path) -> None:
    held = Held(path, limit=1 << 20)
    held.one.begin(record())
    said = answer(held.one, [("append", ("a1", b"x" * (1 << 20)))])
    assert said == "database or disk is full"
    assert answer(held.one, [("append", ("a1", b"x"))]) == [True]
    held.close()


def test_a_transaction_is_all_or_nothing(held: Held) -> None:
    def begin_and_fail() -> None:
        with held.one.transaction():
            held.one.begin(record())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        begin_and_fail()
    assert held.one.find("a1", "blue") is None
    held.one.begin(record())
    news = held.two.news("a1")
    assert news is not None
    assert news.lives, "the sign of life was rolled back with the rest, and given again"


def test_a_file_that_was_removed_is_missed(held: Held, path: Path) -> None:
    held.one.begin(record())
    held.two.close()
    for file in path.parent.iterdir():
        file.unlink()
    held.clock.monotonic_now += 2
    with pytest.raises(OSError):
        held.one.beat()
    held.one.close()
    held.one.begin(record())
    assert held.two.find("a1", "blue") is not None


def test_what_is_no_journal_is_not_written_to(path: Path) -> None:
    content = b"no database " * 1000
    path.parent.mkdir()
    path.write_bytes(content)
    held = Held(path)
    with pytest.raises(sqlite3.DatabaseError):
        held.one.begin(record())
    assert path.read_bytes() == content


def test_another_version_s_journal_is_not_written_to(held: Held, path: Path) -> None:
    held.one.begin(record())
    held.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(sqlite3.DatabaseError, match="version 99"):
        held.one.find("a1", "blue")


def _keep(journal: Journal, name: str, team: str, size: int, *, ended: bool = True) -> None:
    said = answer(journal, _calls(name, team, size, ended=ended))
    assert isinstance(said, list), said


def _calls(name: str, team: str, size: int, *, ended: bool) -> list[Call]:
    calls: list[Call] = [("begin", (record(name, team),)), ("append", (name, b"x" * size))]
    return [*calls, ("let_go", (name, b"", True))] if ended else calls


def test_the_team_that_holds_most_makes_room_for_all(path: Path) -> None:
    held = Held(path, limit=1 << 20)
    for number in range(4):
        _keep(held.one, f"small{number}", "small", 20_000)
    for number in range(60):
        _keep(held.one, f"large{number}", "large", 80_000)
        held.clock.wall_now += 0.1
        swept(held)
    assert all(held.one.find(f"small{number}", "small") for number in range(4))
    assert held.one.find("large0", "large") is None
    assert held.one.find("large59", "large") is not None
    held.close()


def test_two_large_teams_share_the_journal(path: Path) -> None:
    held = Held(path, limit=1 << 20)
    for number in range(40):
        _keep(held.one, f"one{number}", "one", 60_000)
    for number in range(40):
        _keep(held.one, f"two{number}", "two", 60_000)
    left = [sum(held.one.find(f"{t}{n}", t) is not None for n in range(40)) for t in ("one", "two")]
    assert min(left) >= 5
    assert held.one.find("one39", "one") is not None
    held.close()


def test_what_others_compute_now_takes_nothing_from_a_small_team(path: Path) -> None:
    held = Held(path, limit=1 << 20)
    _keep(held.one, "small", "small", 20_000)
    many = [_calls(f"large{number}", "large", 80_000, ended=False) for number in range(20)]
    said = [answer(held.one, calls) for calls in many]
    assert "database or disk is full" in said
    assert held.one.find("small", "small") is not None
    held.close()


def test_what_a_team_holds_is_counted_with_all_that_happens(held: Held, path: Path) -> None:
    for number in range(4):
        _keep(held.one, f"a{number}", "blue", 100 + number, ended=number != 3)
    held.one.cancel("a0", "blue")
    held.one.forget("a3")
    assert _counted(path) == [("blue", 2 * len(SECRET) + 101 + 102)]
    held.clock.wall_now += 100
    assert swept(held) == 3
    assert _counted(path) == []


def test_a_file_of_an_older_release_is_counted_when_it_is_opened(held: Held, path: Path) -> None:
    _keep(held.one, "a1", "blue", 100)
    held.close()
    with sqlite3.connect(path) as database:
        names = database.execute(
            "SELECT type, name FROM sqlite_schema WHERE type = 'trigger' OR name = 'teams' "
            "OR name IN ('streams_to_give', 'streams_by_team')"
        ).fetchall()
        for kind, name in names:
            database.execute(f"DROP {kind} {name}")
    database.close()
    assert held.one.find("a1", "blue") is not None
    assert _counted(path) == [("blue", len(SECRET) + 100)]


def _counted(path: Path) -> list[tuple[str, int]]:
    database = sqlite3.connect(path)
    try:
        return database.execute("SELECT team, bytes FROM teams ORDER BY team").fetchall()
    finally:
        database.close()


def test_the_recipes_of_the_last_builds_are_stored_for_every_process(held: Held) -> None:
    for number in range(BUILDS + 2):
        with held.one.transaction():
            held.one.store_recipe(f"build {number}", b"%d" % number)
    assert held.two.recipe("build 0") is None
    assert held.two.recipe("build 1") is None
    assert held.two.recipe("build 2") == b"2"
    assert held.two.recipe(f"build {BUILDS + 1}") == b"%d" % (BUILDS + 1)
    with held.two.transaction():
        held.two.store_recipe("build 2", b"again")
    assert held.one.recipe("build 2") == b"again"
    assert held.one.recipe("build 3") == b"3", "storing one again takes nothing from the others"


def test_a_file_of_an_older_release_gets_room_for_recipes(held: Held, path: Path) -> None:
    with held.one.transaction():
        held.one.begin(record())
    held.close()
    with sqlite3.connect(path) as older:
        older.execute("DROP TABLE builds")
    assert held.one.recipe("b") is None
    with held.one.transaction():
        held.one.store_recipe("b", b"how")
    assert held.two.recipe("b") == b"how"
    assert held.two.find("a1", "blue") is not None
