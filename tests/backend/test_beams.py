"""Beam searches on the scripted engine, against the same search without rows."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.driven import Driven, Reader, RecordedEngine, choices, named, submit
from engine import rule
from engine.beam_rule import Found, searched
from engine.rule import reply as sampled
from rowcast.engine.engine import Drawn, Feed
from rowcast.scripted_vocabulary import END
from rowcast.wire import Tokens

BOUNDED = settings(deadline=None, derandomize=True, max_examples=60)
PROMPT = b"It was a dark and stormy night; the rain fell in torrents"


def search(
    session: str, beams: int, n: int = 0, prompt: Sequence[int] = PROMPT, **params: Any
) -> list[Any]:
    """Return the choices of a beam search."""
    options = {"ignore_eos": False, "temperature": 0.0, "beams": beams} | params
    return choices(session, n or beams, prompt, **options)


def frequent(prompt: Sequence[int], beams: int, most: int) -> frozenset[int]:
    """Return tokens that end some hypotheses early: every third of the likely ones."""
    found = searched(prompt, beams, most, ends=frozenset())
    return frozenset(sorted({token for each in found for token in each.tokens})[::3][:6])


def judge(reader: Reader, session: str, wanted: Sequence[Found], n: int = 0) -> None:
    """Check that the choices have read the best hypotheses."""
    for choice, each in enumerate(wanted[: n or len(wanted)]):
        name = named(session, choice)
        assert (tuple(reader.tokens[name]), reader.reason(name)) == (each.tokens, each.reason)
        assert reader.ends[name].length == len(each.tokens)


@pytest.mark.parametrize("beams", [2, 4, 32])
@pytest.mark.parametrize("width", [32, 256])
def test_the_choices_are_the_best_hypotheses_in_order(beams: int, width: int) -> None:
    driven = Driven(width=width)
    reader = driven.reader()
    reader.send(*search("s", beams, max_tokens=12))
    driven.finish()
    judge(reader, "s", searched(PROMPT, beams, 12))
    assert len({tuple(reader.tokens[named("s", at)]) for at in range(beams)}) == beams


@BOUNDED
@given(
    beams=st.integers(2, 6),
    most=st.integers(1, 14),
    least=st.integers(0, 5),
    prompt=st.binary(min_size=1, max_size=30),
    length_penalty=st.sampled_from([-1.0, 0.0, 0.5, 1.0, 3.0]),
    early_stopping=st.sampled_from([False, True, "never"]),
    width=st.sampled_from([8, 11, 256]),
)
def test_however_hypotheses_end(
    beams: int,
    most: int,
    least: int,
    prompt: bytes,
    length_penalty: float,
    early_stopping: Any,
    width: int,
) -> None:
    ends = frequent(prompt, beams, most)
    options = {"length_penalty": length_penalty, "early_stopping": early_stopping}
    driven = Driven(rows=8, width=width)
    reader = driven.reader()
    stops = tuple(sorted(ends))
    reader.send(*search("s", beams, 0, prompt, max_tokens=most, stop_token_ids=stops, **options))
    driven.finish()
    judge(reader, "s", searched(prompt, beams, most, ends=ends | {END}, **options))
    reader.send(
        *search("t", beams, 0, prompt, max_tokens=most, min_tokens=least, stop_token_ids=stops)
    )
    driven.finish()
    judge(reader, "t", searched(prompt, beams, most, ends=ends | {END}, min_tokens=least))


def test_an_ending_that_is_less_likely_than_all_beams_completes_nothing() -> None:
    """The third candidate ends a reply; it would be the best of two beams by its sum alone."""
    third = [token for token, _ in rule.likeliest(PROMPT, 3)][2]
    driven = Driven()
    reader = driven.reader()
    options: dict[str, Any] = {"max_tokens": 6, "length_penalty": 0.0}
    reader.send(*search("s", 2, stop_token_ids=(third,), **options))
    driven.finish()
    wanted = searched(PROMPT, 2, 6, ends=frozenset({third, END}), length_penalty=0.0)
    assert all(each.tokens for each in wanted)
    judge(reader, "s", wanted)


def test_a_search_may_be_wider_than_its_choices() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*search("s", 8, 3, max_tokens=12))
    driven.step(2)
    assert driven.seated == 8
    driven.finish()
    judge(reader, "s", searched(PROMPT, 8, 12), n=3)
    assert len(reader.ends) == 3


def test_log_probabilities_are_those_of_the_hypotheses() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*search("s", 3, max_tokens=6, logprobs=True, top_logprobs=12))
    driven.finish()
    wanted = searched(PROMPT, 3, 6)
    received = [each for batch in reader.batches for each in batch]
    events = [each for each in received if isinstance(each, Tokens)]
    for choice, found in enumerate(wanted):
        own = [each for each in events if each.choice == choice]
        logprobs = [logprob for each in own for logprob in each.logprobs or ()]
        places = [(*PROMPT, *found.tokens[:at]) for at in range(len(found.tokens))]
        assert logprobs == [
            rule.logprob(place, token) for place, token in zip(places, found.tokens, strict=True)
        ]
        assert sum(logprobs) == pytest.approx(found.total)
        assert [top for each in own for top in each.top or ()] == [
            rule.likeliest(place, 12) for place in places
        ]


def test_a_stream_has_what_cannot_change_before_the_end() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*search("s", 4, max_tokens=60))
    early = set[tuple[int, ...]]()
    wanted = searched(PROMPT, 4, 60)
    while not reader.ends:
        driven.step()
        if not reader.ends:
            shown = {tuple(reader.tokens[named("s", at)]) for at in range(4)}
            assert len(shown) == 1
            early |= shown
    assert all(each.tokens[: len(shown)] == shown for each in wanted for shown in early)
    assert len(early) > 3
    judge(reader, "s", wanted)


def test_company_changes_nothing() -> None:
    driven = Driven(width=40)
    one, other = driven.reader(), driven.reader()
    for at in range(28):
        other.send(submit(f"o{at}", PROMPT[: at + 1], max_tokens=5 + 7 * at, team="other"))
    driven.step(4)
    one.send(*search("s", 4, max_tokens=40, team="one"))
    driven.finish()
    judge(one, "s", searched(PROMPT, 4, 40))
    for at in range(28):
        tokens, _ = sampled(PROMPT[: at + 1], 1, 5 + 7 * at, ignore_eos=True)
        assert tuple(other.tokens[f"o{at}"]) == tokens


def test_the_prompt_is_computed_once_and_beams_copy_what_differs() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*search("s", 4, max_tokens=50))
    driven.finish()
    assert driven.engine.computed == len(PROMPT) + 4 * 49
    first, later = driven.engine.forks[:3], driven.engine.forks[3:]
    assert first == [len(PROMPT)] * 3
    assert later
    assert max(later) < len(PROMPT)


@pytest.mark.parametrize("n", [1, 3])
def test_what_was_delivered_is_not_sent_again(n: int) -> None:
    """After a backend's end, perhaps only some choices of a search are sent again."""
    wanted = searched(PROMPT, 4, 60)
    driven = Driven()
    reader = driven.reader()
    for each in search("s", 4, max_tokens=60)[4 - n :]:
        delivered = wanted[each.choice].tokens[: 2 + each.choice]
        reader.send(msgspec.structs.replace(each, delivered=delivered))
    driven.finish()
    for choice in range(4 - n, 4):
        tokens = wanted[choice].tokens[2 + choice :]
        assert tuple(reader.tokens[named("s", choice)]) == tokens
        assert reader.ends[named("s", choice)].length == 60
    assert len(reader.ends) == n


def test_one_choice_that_is_cancelled_ends_the_search() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*search("s", 8, 4, max_tokens=60))
    driven.step(5)
    reader.cancel("s", 2)
    driven.step()
    assert driven.seated == 0
    assert {reader.reason(named("s", at)) for at in range(4)} == {"cancelled"}
    reader.cancel("s", 1)  # too late
    driven.finish()
    assert len(reader.ends) == 4


def test_the_rest_of_a_search_that_was_cancelled_in_the_line_is_computed() -> None:
    driven = Driven(rows=4)
    reader = driven.reader()
    reader.send(submit("first", max_tokens=6), *search("s", 4, max_tokens=12))
    driven.step()
    reader.cancel("s", 1)
    driven.finish()
    assert reader.reason("s/1") == "cancelled"
    wanted = searched(PROMPT, 4, 12)
    assert [tuple(reader.tokens[named("s", at)]) for at in (0, 2, 3)] == [
        wanted[at].tokens for at in (0, 2, 3)
    ]


def test_a_search_whose_time_is_over_ends_once() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*search("s", 8, 4, max_tokens=200))
    driven.step(5)
    driven.pass_time(4000)
    driven.step()
    assert [end.reason for end in reader.ends.values()] == ["error"] * 4
    assert driven.backend.idle


def test_a_frontend_that_leaves_takes_its_search_along() -> None:
    driven = Driven()
    leaves, stays = driven.reader(), driven.reader()
    leaves.send(*search("s", 8, 4, max_tokens=200))
    driven.step(5)
    leaves.port.close()
    driven.readers.remove(leaves)
    driven.step(2)
    assert driven.seated == 0
    stays.send(*search("s", 32, max_tokens=5))
    driven.finish()
    judge(stays, "s", searched(PROMPT, 32, 5))


class Failing(RecordedEngine):
    """Its numbers fail in one row, at one step."""

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        drawn = super().step(feeds)
        if len(self.steps) == 6:
            drawn[1] = Drawn(drawn[1].row, (), problem="the model's numbers are not finite")
        return drawn


def test_a_beam_that_fails_fails_its_search_alone() -> None:
    driven = Driven(engine=Failing())
    reader = driven.reader()
    reader.send(*search("s", 4, max_tokens=20), submit("o", max_tokens=20))
    driven.finish()
    ends = [reader.ends[named("s", at)] for at in range(4)]
    assert {(end.reason, end.message) for end in ends} == {
        ("error", "the model's numbers are not finite")
    }
    assert reader.reason("o") == "length"


@pytest.mark.parametrize("prompt", [b"a", PROMPT * 70])
def test_prompts_of_one_token_and_the_end_of_the_context(prompt: bytes) -> None:
    driven = Driven(context_length=len(prompt) + 9)
    reader = driven.reader()
    reader.send(*search("s", 4, 0, prompt, max_tokens=1000))
    driven.finish()
    judge(reader, "s", searched(prompt, 4, 9))


def test_nothing_is_searched_without_tokens() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*search("s", 4, max_tokens=0))
    driven.finish()
    assert [(end.length, end.reason) for end in reader.ends.values()] == [(0, "length")] * 4


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"beams": 33}, "2 to 32 beams"),
        ({"beams": 1}, "2 to 32 beams"),
        ({"beams": 4, "prompt_logprobs": True}, "neither scores its prompt"),
        ({"beams": 4, "grammar": "start: /a/"}, "nor follows a grammar"),
        ({"beams": 4, "length_penalty": 17.0}, "length_penalty is 17"),
        ({"beams": 4, "length_penalty": float("nan")}, "length_penalty is nan"),
        ({"beams": 4, "stop_token_ids": tuple(range(17))}, "at most 16"),
        ({"beams": 4, "choice": 4}, "choice is 4"),
    ],
)
def test_what_cannot_be_searched_is_refused(fields: dict[str, Any], words: str) -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("s", **fields))
    driven.finish()
    (rejected,) = reader.rejected.values()
    assert rejected.reason == "invalid"
    assert words in rejected.message


def test_a_search_is_seated_whole_and_soon() -> None:
    """Others that came later do not pass it while it waits for few rows."""
    driven = Driven(rows=8)
    reader = driven.reader()
    for at in range(8):
        reader.send(submit(f"first{at}", max_tokens=4 + at))
    driven.step()
    reader.send(*search("s", 4, max_tokens=30))
    reader.send(*(submit(f"later{at}", max_tokens=30) for at in range(8)))
    while "s" not in reader.ends:
        driven.step()
        assert driven.seated != 0
    assert not [name for name in reader.ends if name.startswith("later")]
    driven.finish()
    judge(reader, "s", searched(PROMPT, 4, 30))


def test_a_search_that_waits_for_a_long_reply_does_not_stop_another_team() -> None:
    driven = Driven(rows=8)
    other, one = driven.reader(), driven.reader()
    other.send(submit("long", max_tokens=2000, team="other"))
    driven.step()
    one.send(*search("s", 8, max_tokens=20, team="one"))
    for at in range(200):
        other.send(submit(f"o{at}", max_tokens=10, team="other"))
    driven.step(1000)
    assert other.reason("long") is None
    assert len([name for name in other.ends if name != "long"]) == 200
    driven.finish()
    judge(one, "s", searched(PROMPT, 8, 20))


def test_a_stream_of_short_replies_does_not_starve_the_widest_search() -> None:
    driven = Driven(rows=8)
    other, one = driven.reader(), driven.reader()
    sent = 0
    for turn in range(400):
        while len(other.ends) + 12 > sent:
            other.send(submit(f"o{sent}", max_tokens=5 + sent % 7, team="other"))
            sent += 1
        if turn == 10:
            one.send(*search("s", 8, max_tokens=20, team="one"))
        driven.step()
    assert one.reason("s") == "length"
    assert len(other.ends) > 100
    driven.finish()


@pytest.mark.slow
def test_searches_of_two_teams_take_turns() -> None:
    driven = Driven()
    readers = [driven.reader(), driven.reader()]
    for reader, team in zip(readers, "ab", strict=True):
        for at in range(4):
            reader.send(*search(f"s{at}", 32, 2, max_tokens=8, team=team))
    driven.finish()
    for reader in readers:
        for at in range(4):
            judge(reader, f"s{at}", searched(PROMPT, 32, 8), n=2)
