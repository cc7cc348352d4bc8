"""The decode loop, step by step: what is seated, fed and emitted, and when.

Covers `backend/decode_backend`.
"""

import pytest

from engine.rule import reply as expected
from rowcast.wire import Finished, ReplyKey, Status, Tokens

from .driven import Driven, submit


def test_a_prompt_is_accepted_seated_fed_and_answered_in_one_step() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("a", b"Hello", max_tokens=3))
    driven.step()
    assert (reader.accepted, driven.seated) == ({"a"}, 1)
    assert tuple(reader.tokens["a"]) == expected(b"Hello", 1, 1)[0]


def test_each_further_step_brings_one_token() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("a", max_tokens=5))
    lengths = []
    for _ in range(5):
        driven.step()
        lengths.append(len(reader.tokens["a"]))
    assert lengths == [1, 2, 3, 4, 5]


def test_a_reply_ends_with_its_limit_and_frees_its_row() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("a", b"Hello", max_tokens=5))
    driven.finish()
    assert reader.ends["a"] == Finished("a", 0, 5, "length")
    assert tuple(reader.tokens["a"]) == expected(b"Hello", 1, 5, ignore_eos=True)[0]
    assert driven.seated == 0


def test_a_reply_that_ends_by_itself_ends_with_stop() -> None:
    seed = next(seed for seed in range(10**6) if expected(b"Hi", seed, 20)[1] == "stop")
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("a", b"Hi", max_tokens=20, seed=seed, ignore_eos=False))
    driven.finish()
    tokens, _ = expected(b"Hi", seed, 20)
    assert tuple(reader.tokens["a"]) == tokens
    assert reader.ends["a"] == Finished("a", 0, len(tokens), "stop")


def test_the_last_token_and_the_end_come_in_one_batch() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("a", max_tokens=1))
    driven.step()
    kinds = [type(event) for event in reader.batches[-1] if not isinstance(event, Status)]
    assert kinds == [Tokens, Finished]


def test_a_frontend_gets_one_batch_of_tokens_a_step_however_many_rows_it_has() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*(submit(f"{n}", max_tokens=9) for n in range(32)))
    driven.step(4)
    counts = [sum(isinstance(event, Tokens) for event in batch) for batch in reader.batches]
    assert [count for count in counts if count] == [32] * 4


def test_acceptance_is_told_before_the_engine_is_asked_for_anything() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("a"))
    driven.backend.intake()
    reader.read()
    assert reader.accepted == {"a"}


def test_the_line_is_seated_in_its_order() -> None:
    driven = Driven(rows=2, width=64)
    reader = driven.reader()
    reader.send(*(submit(name, max_tokens=3) for name in "abcd"))
    driven.step()
    assert (set(reader.tokens), driven.waiting) == ({"a", "b"}, 2)
    driven.finish()
    assert list(reader.ends) == ["a", "b", "c", "d"]


def test_a_row_is_refilled_in_the_very_step_after_it_is_freed() -> None:
    driven = Driven(rows=2, width=64)
    reader = driven.reader()
    reader.send(submit("long", max_tokens=9), submit("short", max_tokens=2), submit("next"))
    driven.step(2)
    assert (reader.reason("short"), reader.tokens["next"]) == ("length", [])
    driven.step()
    assert len(reader.tokens["next"]) == 1
    assert len(reader.tokens["long"]) == 3


def test_a_cancelled_row_is_refilled_in_the_same_step() -> None:
    driven = Driven(rows=1, width=64)
    reader = driven.reader()
    reader.send(submit("a"), submit("b"))
    driven.step()
    reader.cancel("a")
    driven.step()
    assert (reader.reason("a"), len(reader.tokens["b"])) == ("cancelled", 1)


def test_a_long_prompt_stops_nobody_s_decoding() -> None:
    driven = Driven(rows=4, width=8)
    reader = driven.reader()
    reader.send(submit("talks", b"x", max_tokens=20))
    driven.step()
    reader.send(submit("long", range(100), max_tokens=1))
    for count in range(2, 16):
        driven.step()
        assert len(reader.tokens["talks"]) == count
    assert reader.reason("long") is None
    driven.step()
    assert reader.reason("long") == "length"


def test_a_long_prompt_uses_all_that_is_left_of_each_step() -> None:
    driven = Driven(rows=4, width=8)
    reader = driven.reader()
    reader.send(submit("long", range(100), max_tokens=2))
    driven.finish()
    sizes = [sum(len(feed.tokens) for feed in feeds) for feeds in driven.engine.steps]
    assert sizes == [8] * 12 + [4, 1]


def test_an_idle_backend_asks_nothing_of_its_engine() -> None:
    driven = Driven()
    driven.reader()
    driven.step()
    assert driven.engine.steps == []


def test_choices_of_one_session_are_replies_of_their_own() -> None:
    driven = Driven()
    reader = driven.reader()
    port = reader.port
    port.send([submit("s", b"Hi", max_tokens=4, choice=choice) for choice in (0, 1)])
    replies: dict[int, list[int]] = {0: [], 1: []}
    ends: list[ReplyKey] = []
    for _ in range(4):
        driven.backend.step()
    while len(ends) < 2:
        for event in port.receive():
            if isinstance(event, Tokens):
                replies[event.choice] += event.tokens
            if isinstance(event, Finished):
                ends.append(event.key)
    assert [tuple(replies[choice]) for choice in (0, 1)] == [
        expected(b"Hi", 1, 4, choice=choice, ignore_eos=True)[0] for choice in (0, 1)
    ]
    assert sorted(ends) == [("s", 0), ("s", 1)]


def test_replies_of_several_frontends_go_to_their_own() -> None:
    driven = Driven()
    readers = [driven.reader() for _ in range(3)]
    for number, reader in enumerate(readers):
        reader.send(submit("same name", b"prompt %d" % number, max_tokens=6))
    driven.finish()
    for number, reader in enumerate(readers):
        wanted, _ = expected(b"prompt %d" % number, 1, 6, ignore_eos=True)
        assert tuple(reader.tokens["same name"]) == wanted


@pytest.mark.parametrize("given", [0, 1, 5, 11])
def test_a_reply_goes_on_from_the_tokens_that_were_delivered(given: int) -> None:
    whole, _ = expected(b"recover me", 3, 12, ignore_eos=True)
    driven = Driven(width=40)
    reader = driven.reader()
    reader.send(submit("a", b"recover me", seed=3, max_tokens=12, delivered=whole[:given]))
    driven.finish()
    assert (*whole[:given], *reader.tokens["a"]) == whole
    assert reader.ends["a"] == Finished("a", 0, 12, "length")
    first = next(event for batch in reader.batches for event in batch if isinstance(event, Tokens))
    assert first.index == given


def test_a_reply_that_was_delivered_whole_only_ends() -> None:
    whole, _ = expected(b"recover me", 3, 12, ignore_eos=True)
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("a", b"recover me", seed=3, max_tokens=12, delivered=whole))
    driven.step()
    assert (reader.tokens["a"], reader.ends["a"]) == ([], Finished("a", 0, 12, "length"))
    assert driven.engine.steps == []


def test_a_reply_whose_end_of_text_was_not_delivered_finds_it_again() -> None:
    seed = next(seed for seed in range(10**6) if expected(b"Hi", seed, 20)[1] == "stop")
    whole, _ = expected(b"Hi", seed, 20)
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("a", b"Hi", seed=seed, max_tokens=20, ignore_eos=False, delivered=whole))
    driven.finish()
    assert (reader.tokens["a"], reader.reason("a")) == ([], "stop")


def test_a_joining_frontend_is_told_at_once_what_is_served() -> None:
    driven = Driven(rows=4, width=64, context_length=100)
    reader = driven.reader()
    driven.step()
    status = reader.statuses[0]
    assert (status.model, status.rows, status.context_length) == ("scripted", 4, 100)
    assert (status.seated, status.waiting, status.stopping) == (0, 0, False)


def test_the_status_counts_rows_line_and_steps() -> None:
    driven = Driven(rows=2, width=64)
    reader = driven.reader()
    reader.send(*(submit(f"{n}") for n in range(5)))
    driven.step(3)
    status = driven.backend.status()
    assert (status.seated, status.waiting, status.steps) == (2, 3, 3)
