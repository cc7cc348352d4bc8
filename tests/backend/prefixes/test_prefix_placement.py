"""A prompt begins with what was computed for another of its key, and with nothing else.

Covers `placement`.
"""

import random
from collections.abc import Sequence
from functools import cache, partial

import pytest

from backend.driven import Driven, Reader, choices, named, submit
from engine.rule import reply as expected
from rowcast.backend.placement import Placement
from rowcast.backend.policies import Policies
from rowcast.backend.prefixes.prefix_placement import prefix_placement
from rowcast.backend.reply import Reply
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.wire import Cancel, Prefixes

MEBIBYTE = 1 << 20
SYSTEM = tuple(random.Random(1).choices(range(65, 91), k=300))
TOKENS = 8  # of each reply


def prompt(number: int, begin: Sequence[int] = SYSTEM, length: int = 100) -> tuple[int, ...]:
    """Return a prompt that begins alike, and then differs from all others."""
    return (*begin, 97 + number, *random.Random(number).choices(range(97, 123), k=length - 1))


@cache
def alone(tokens: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
    return expected(tokens, 1, TOKENS, ignore_eos=True)


def driven(rows: int = 4, limit: int = 0, width: int = 256) -> Driven:
    placement = partial(prefix_placement, limit=limit)
    return Driven(rows=rows, width=width, policies=Policies(placement=placement))


def run(server: Driven, reader: Reader, name: str, tokens: Sequence[int], key: str = "a") -> int:
    """Run one prompt alone; check its reply; return how many tokens were fed."""
    before = server.engine.computed
    reader.send(submit(name, tokens, key=key, max_tokens=TOKENS))
    server.finish()
    assert (tuple(reader.tokens[name]), reader.reason(name)) == alone(tuple(tokens))
    return server.engine.computed - before


def seated(placement: Placement, key: str) -> Reply:
    """Return a reply of 100 prompt tokens in the row that it takes."""
    taken = Reply(1, submit(key, SYSTEM[:100], key=key), limit=8, expires=0, accepted=0)
    place = placement.take(taken)
    taken.row, taken.fed = place.row, place.held
    return taken


def whole(tokens: Sequence[int]) -> int:
    """Return how many tokens are fed if nothing is found."""
    return len(tokens) + TOKENS - 1


def test_a_second_turn_takes_its_own_row_and_computes_only_what_is_new() -> None:
    server = driven()
    reader = server.reader()
    first = prompt(1)
    assert run(server, reader, "first", first) == whole(first)
    turn = (*first, *reader.tokens["first"], *b"and what happened then?")
    held = len(first) + TOKENS - 1  # the reply's last token was drawn, not fed
    assert run(server, reader, "turn", turn) == whole(turn) - held
    assert (server.engine.copies, server.engine.forks) == ([], []), "no token was copied"
    assert reader.cached == {"first": 0, "turn": held}


def test_a_beginning_is_copied_while_rows_are_empty() -> None:
    server = driven()
    reader = server.reader()
    run(server, reader, "one", prompt(1))
    assert run(server, reader, "two", prompt(2)) == whole(prompt(2)) - len(SYSTEM)
    assert server.engine.copies == [len(SYSTEM)]
    assert run(server, reader, "again", prompt(1)) == 1 + TOKENS - 1, "the first row has it still"


def test_without_empty_rows_a_row_of_which_half_is_shared_is_taken() -> None:
    server = driven(rows=2)
    reader = server.reader()
    for name in ("x", "y"):
        run(server, reader, name, prompt(3, begin=SYSTEM[150:]), key=name)
    run(server, reader, "one", prompt(1))
    assert run(server, reader, "two", prompt(2)) == whole(prompt(2)) - len(SYSTEM)
    assert server.engine.copies == []
    short = SYSTEM[:100]
    copied = run(server, reader, "three", prompt(3, begin=short))
    assert copied == whole(prompt(3, begin=short)) - len(short)
    assert server.engine.copies == [len(short)], "less than half: its beginning was copied"


def test_a_beginning_shorter_than_64_tokens_is_not_looked_for() -> None:
    server = driven()
    reader = server.reader()
    run(server, reader, "one", prompt(1, begin=SYSTEM[:63]))
    tokens = prompt(2, begin=SYSTEM[:63])
    assert run(server, reader, "two", tokens) == whole(tokens)
    tokens = (*SYSTEM[:63], *prompt(1)[300:301], *b"?")
    assert run(server, reader, "three", tokens) == whole(tokens) - 64


@pytest.mark.slow
def test_another_key_and_no_key_save_nothing() -> None:
    server = driven(rows=3, limit=MEBIBYTE)
    reader = server.reader()
    run(server, reader, "own", prompt(1))
    for number in range(1000):
        key = f"other {number}" if number % 2 else ""
        assert run(server, reader, f"{number}", prompt(1), key=key) == whole(prompt(1))
        assert reader.cached[f"{number}"] == 0
    assert server.backend.status().prefixes.found == 0


def test_a_stranger_takes_the_coldest_row() -> None:
    server = driven(rows=3)
    reader = server.reader()
    for number in (1, 2, 3):
        run(server, reader, f"{number}", prompt(number, begin=SYSTEM[number:]))
    run(server, reader, "stranger", prompt(9, begin=()), key="")
    for number, cold in ((3, False), (2, False), (1, True)):
        tokens = (*prompt(number, begin=SYSTEM[number:]), *b"more")
        fed = run(server, reader, f"{number} again", tokens)
        assert (fed == whole(tokens)) is cold


def test_a_row_that_has_given_part_of_its_memory_back_is_still_the_coldest() -> None:
    placement = prefix_placement(ScriptedEngine(rows=2))
    for key in ("cold", "warm"):
        ended = seated(placement, key)
        ended.fed = len(ended.tokens)
        placement.give_back(ended)
    placement.forget(0, 80)
    assert [placement.held(row) for row in range(2)] == [80, 100]
    assert seated(placement, "stranger").row == 0
    again = seated(placement, "warm")
    assert (again.row, again.fed) == (1, 99)


def test_without_keys_the_row_freed_last_is_taken() -> None:
    server = driven()
    reader = server.reader()
    for number in range(5):
        run(server, reader, f"{number}", prompt(number), key="")
    assert {feed.row for feeds in server.engine.steps for feed in feeds} == {0}


def test_what_a_row_held_is_read_back_from_the_store() -> None:
    server = driven(rows=1, limit=MEBIBYTE)
    reader = server.reader()
    run(server, reader, "one", prompt(1))
    run(server, reader, "stranger", prompt(2), key="b")
    stored = len(prompt(1)) + TOKENS - 1
    assert server.backend.status().prefixes == Prefixes(800, 0, 1, 8 * stored, MEBIBYTE)
    turn = (*prompt(1), *reader.tokens["one"], *b"more")
    assert run(server, reader, "turn", turn) == whole(turn) - stored
    assert server.engine.loads == [stored]
    assert reader.cached["turn"] == stored
    run(server, reader, "short", SYSTEM[:200], key="c")
    assert server.backend.status().prefixes.entries == 2, "b's, and one of a's: the longer"
    run(server, reader, "last", SYSTEM, key="d")
    assert server.backend.status().prefixes.entries == 2, "200 tokens are not stored"


def test_a_beginning_after_which_prompts_differ_again_is_stored_at_once() -> None:
    server = driven(rows=8, limit=MEBIBYTE)
    reader = server.reader()
    for number, entries in ((1, 0), (2, 0), (3, 1), (4, 1)):
        run(server, reader, f"{number}", prompt(number))
        assert server.backend.status().prefixes.entries == entries
    assert server.backend.status().prefixes.bytes == 8 * len(SYSTEM)


def test_a_prompt_follows_one_of_its_key_that_is_being_fed() -> None:
    server = driven(width=64)
    reader, other = server.reader(), server.reader()
    reader.send(submit("one", prompt(1), key="a"))
    server.step()
    other.send(submit("two", prompt(2), key="a"), submit("three", prompt(1), key="b"))
    server.finish()
    assert server.engine.forks == [len(SYSTEM)]
    assert (other.cached, reader.cached) == ({"two": len(SYSTEM), "three": 0}, {"one": 0})
    for which, name, tokens in ((reader, "one", 1), (other, "two", 2), (other, "three", 1)):
        wanted, _ = expected(prompt(tokens), 1, TOKENS, ignore_eos=True)
        assert tuple(which.tokens[name]) == wanted


def test_what_a_seated_reply_was_fed_is_copied_at_once() -> None:
    server = driven()
    reader = server.reader()
    reader.send(submit("one", prompt(1), key="a", max_tokens=500))
    server.step(20)
    talk = (*prompt(1), *reader.tokens["one"][:10], *b"but")
    reader.send(submit("two", talk, key="a"))
    server.step()
    assert server.engine.forks == [len(prompt(1)) + 10]
    assert tuple(reader.tokens["two"]) == expected(talk, 1, 1, ignore_eos=True)[0]


def test_after_one_beginning_a_prompt_follows_another_further() -> None:
    server = driven(width=64)
    reader = server.reader()
    longer = prompt(1, length=200)
    reader.send(submit("one", prompt(2), key="a"))
    reader.send(submit("two", (*longer, *b"x"), key="a"), submit("three", longer, key="a"))
    server.finish()
    assert server.engine.forks == [len(SYSTEM), len(SYSTEM), len(longer) - 1 - len(SYSTEM)]
    assert tuple(reader.tokens["three"]) == expected(longer, 1, TOKENS, ignore_eos=True)[0]


@pytest.mark.parametrize("steps", [1, 3])
def test_the_heir_of_a_cancelled_leader_goes_on_with_what_that_was_fed(steps: int) -> None:
    server = driven(width=64)
    reader = server.reader()
    reader.send(*(submit(f"{number}", prompt(number), key="a") for number in range(3)))
    server.step(steps)
    assert (reader.cached["1"], reader.cached["2"]) == (len(SYSTEM), len(SYSTEM))
    reader.cancel("0")
    server.finish()
    assert server.engine.computed == 64 * steps + sum(
        (whole(prompt(1)) - 64 * steps, whole(prompt(2)) - len(SYSTEM))
    )
    assert (reader.cached["1"], reader.cached["2"]) == (64 * steps, len(SYSTEM)), "corrected"
    assert server.backend.status().prefixes.found == 64 * steps + len(SYSTEM)
    for number in (1, 2):
        wanted, _ = expected(prompt(number), 1, TOKENS, ignore_eos=True)
        assert tuple(reader.tokens[f"{number}"]) == wanted


def test_a_follower_that_ends_just_before_its_leader_gets_nothing_after_its_end() -> None:
    server = driven(width=64)
    reader = server.reader()
    reader.send(*(submit(f"{number}", prompt(number), key="a") for number in range(3)))
    server.step()
    reader.send(Cancel("1", 0), Cancel("0", 0))
    server.finish()
    assert [reader.reason(f"{number}") for number in range(3)] == ["cancelled"] * 2 + ["length"]
    assert server.engine.forks == [64], "the other follower has what the leader was fed"
    assert tuple(reader.tokens["2"]) == expected(prompt(2), 1, TOKENS, ignore_eos=True)[0]


def test_choices_count_what_others_computed_once() -> None:
    server = driven()
    reader = server.reader()
    run(server, reader, "one", prompt(1))
    reader.send(*choices("s", 3, prompt(2), key="a"))
    server.finish()
    assert [reader.cached[named("s", choice)] for choice in range(3)] == [len(SYSTEM), 0, 0]
    assert server.backend.status().prefixes == Prefixes(800, len(SYSTEM))


def test_another_prompt_of_a_session_counts_what_its_own_row_held() -> None:
    """Texts that become vectors are such prompts."""
    server = driven()
    reader = server.reader()
    run(server, reader, "one", prompt(1))
    first = prompt(2)
    second = (*first[:350], *prompt(3)[300:])
    reader.send(
        submit("s", first, key="a", max_tokens=TOKENS),
        submit("s", second, key="a", max_tokens=TOKENS, choice=1),
    )
    server.finish()
    assert server.engine.forks == [50], "what else they share is copied from the first"
    assert [reader.cached[named("s", choice)] for choice in range(2)] == [len(SYSTEM)] * 2
    looked_up = len(prompt(1)) + len(first) + len(second)
    assert server.backend.status().prefixes == Prefixes(looked_up, 2 * len(SYSTEM))


def test_prompts_that_are_fed_whole_and_beams_neither_take_nor_leave() -> None:
    server = driven()
    reader = server.reader()
    run(server, reader, "one", prompt(1))
    reader.send(submit("scored", prompt(1), key="a", prompt_logprobs=True))
    server.finish()
    assert server.engine.computed == 2 * whole(prompt(1))
    reader.send(*choices("beams", 2, prompt(1), key="a", beams=2, ignore_eos=False))
    server.finish()
    assert all(not seating.held for seating in server.engine.seatings)
    assert not server.engine.copies
    before = server.engine.computed
    again = run(server, reader, "again", (*prompt(1), *b"more"), key="a")
    assert again == server.engine.computed - before == 4 + TOKENS - 1, "only the first was left"


@pytest.mark.parametrize("how", ["cancelled", "late", "gone"])
def test_a_reply_that_ends_early_leaves_what_it_was_fed(how: str) -> None:
    server = driven(width=64)
    reader, other = server.reader(), server.reader()
    other.send(submit("one", prompt(1), key="a"))
    server.step(3)
    if how == "cancelled":
        other.cancel("one")
    elif how == "gone":
        other.port.close()
        server.readers.remove(other)
    else:
        server.pass_time(4000)
    server.step()
    assert run(server, reader, "again", prompt(1)) == whole(prompt(1)) - 3 * 64


def test_a_reply_that_is_sent_again_goes_on_over_its_own_tokens() -> None:
    server = driven()
    reader, other = server.reader(), server.reader()
    reader.send(submit("one", prompt(1), key="a", max_tokens=50))
    server.step(10)
    had = tuple(reader.tokens["one"])
    reader.cancel("one")
    server.step()
    before = server.engine.computed
    other.send(submit("one", prompt(1), key="a", max_tokens=50, delivered=had))
    server.finish()
    wanted, _ = expected(prompt(1), 1, 50, ignore_eos=True)
    assert (*had, *other.tokens["one"]) == wanted
    assert server.engine.computed - before == 50 - len(had)
    assert other.cached["one"] == len(prompt(1))


def test_an_engine_may_hold_nothing() -> None:
    engine = ScriptedEngine(rows=2)
    engine.token_bytes = 0
    assert prefix_placement(engine, MEBIBYTE).stored() == Prefixes()
