"""Rows and the arithmetic of a reply: which tokens it has, which it lacks, and why it ends.

Covers `backend/reply`.
"""

from collections.abc import Sequence

import msgspec
import pytest

from rowcast.backend.reply import Reply
from rowcast.backend.rows import Rows
from rowcast.sampling_params import SamplingParams

from .driven import submit

END = frozenset({256})


def reply(*, limit: int = 4, delivered: Sequence[int] | None = None, **params: object) -> Reply:
    """Return a reply to [1, 2, 3]."""
    prompt = submit("s", [1, 2, 3], delivered=delivered, ignore_eos=False)
    changed = msgspec.structs.replace(prompt.params, **params)
    prompt = msgspec.structs.replace(prompt, params=changed)
    return Reply(7, prompt, limit=limit, expires=0.0, accepted=0.0)


def named(session: str) -> Reply:
    return Reply(7, submit(session), limit=4, expires=0.0, accepted=0.0)


def test_at_first_it_lacks_its_whole_prompt() -> None:
    fresh = reply()
    assert (fresh.lacks, fresh.length, fresh.sent) == (3, 0, 0)


def test_what_is_fed_is_no_longer_lacking() -> None:
    fed = reply()
    fed.fed = 2
    assert fed.lacks == 1


def test_a_drawn_token_is_part_of_the_reply_and_lacks_in_the_engine() -> None:
    grown = reply()
    grown.fed = 3
    assert grown.take((50,), END) is None
    assert (grown.tokens, grown.length, grown.lacks) == ([1, 2, 3, 50], 1, 1)


def test_delivered_tokens_are_fed_again_but_not_sent_again() -> None:
    back = reply(delivered=[8, 9])
    assert (back.tokens, back.lacks, back.length, back.sent) == ([1, 2, 3, 8, 9], 5, 2, 2)


def test_the_end_of_text_ends_it_and_is_no_part_of_it() -> None:
    ended = reply()
    assert ended.take((50, 256, 51), END) == "stop"
    assert ended.tokens == [1, 2, 3, 50]


def test_the_limit_ends_it_with_its_last_token() -> None:
    full = reply(limit=2)
    assert full.take((50, 51, 52), END) == "length"
    assert full.tokens == [1, 2, 3, 50, 51]


def test_an_end_of_text_right_at_the_limit_comes_too_late() -> None:
    full = reply(limit=1)
    assert full.take((50, 256), END) == "length"


def test_a_stop_token_of_the_caller_ends_it() -> None:
    assert reply(stop_token_ids=(60,)).take((60,), END) == "stop"


def test_before_min_tokens_nothing_ends_it() -> None:
    patient = reply(min_tokens=2, stop_token_ids=(60,))
    assert patient.take((256, 60), END) is None
    assert patient.take((256,), END) == "stop"


def test_ignore_eos_ignores_the_model_s_end_but_not_the_caller_s() -> None:
    stubborn = reply(ignore_eos=True, stop_token_ids=(60,))
    assert stubborn.take((256,), END) is None
    assert stubborn.take((60,), END) == "stop"


def test_parameters_are_those_of_the_prompt() -> None:
    assert reply(min_tokens=1).submit.params == SamplingParams(max_tokens=8, min_tokens=1)


def test_rows_are_given_out_until_none_is_free() -> None:
    rows = Rows(2)
    first, second = named("a"), named("b")
    rows.seat(first)
    rows.seat(second)
    assert {first.row, second.row} == {0, 1}
    assert (rows.free, len(rows)) == (0, 2)
    with pytest.raises(IndexError):
        rows.seat(named("c"))


def test_an_evicted_row_is_free_for_the_next() -> None:
    rows = Rows(1)
    first, second = named("a"), named("b")
    rows.seat(first)
    rows.evict(first)
    rows.seat(second)
    assert (second.row, rows.at(0), rows.find(first.id)) == (0, second, None)


def test_rows_are_read_in_the_order_of_seating() -> None:
    rows = Rows(3)
    names = [named(name) for name in "abc"]
    for each in names:
        rows.seat(each)
    rows.evict(names[0])
    rows.seat(names[0])
    assert [each.submit.session for each in rows] == ["b", "c", "a"]


def test_two_frontends_may_use_the_same_session_name() -> None:
    rows = Rows(2)
    mine = named("same")
    theirs = Reply(8, submit("same"), limit=4, expires=0.0, accepted=0.0)
    rows.seat(mine)
    rows.seat(theirs)
    assert (rows.find(mine.id), rows.find(theirs.id)) == (mine, theirs)
