"""One choice: it keeps new events, in order, and ends exactly once."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.frontend.sessions.choice import Choice
from rowcast.sampling_params import SamplingParams
from rowcast.wire import Accepted, Event, Finished, Rejected, Scored, Seated, Submit, Tokens

ACCEPTED = Accepted("s", 0)
FINISHED = Finished("s", 0, 3, "length")


@pytest.fixture
def choice() -> Choice:
    return Choice(Submit("s", 0, (1, 2), SamplingParams(max_tokens=9), seed=1))


def told(choice: Choice, *events: Event) -> list[Event]:
    """Return what the reader gets when the backend sends `events`."""
    for event in events:
        choice.offer(event)
    return choice.take(0)


def tokens(index: int, *ids: int) -> Tokens:
    return Tokens("s", 0, index, ids)


def test_a_reply_is_told_as_it_comes(choice: Choice) -> None:
    events: list[Event] = [ACCEPTED, tokens(0, 7), tokens(1, 8, 9), FINISHED]
    assert told(choice, *events) == events
    assert choice.tokens == [7, 8, 9]


@pytest.mark.parametrize("again", [tokens(0, 7), tokens(1, 8), tokens(0, 7, 8)])
def test_tokens_that_are_known_are_dropped(choice: Choice, again: Tokens) -> None:
    told(choice, ACCEPTED, tokens(0, 7), tokens(1, 8))
    assert told(choice, again) == []
    assert choice.tokens == [7, 8]


def test_of_overlapping_tokens_the_news_is_kept(choice: Choice) -> None:
    assert told(choice, tokens(0, 7, 8), tokens(1, 8, 9)) == [tokens(0, 7, 8), tokens(2, 9)]


def test_log_probabilities_stay_with_their_tokens(choice: Choice) -> None:
    told(choice, tokens(0, 7))
    both = Tokens("s", 0, 0, (7, 8), (-0.5, -0.25))
    assert told(choice, both) == [Tokens("s", 0, 1, (8,), (-0.25,))]


def test_the_likeliest_stay_with_their_tokens(choice: Choice) -> None:
    told(choice, tokens(0, 7))
    first, second = ((7, -0.5), (1, -1.0)), ((8, -0.25), (2, -2.0))
    both = Tokens("s", 0, 0, (7, 8), (-0.5, -0.25), (first, second))
    assert told(choice, both) == [Tokens("s", 0, 1, (8,), (-0.25,), (second,))]


def scores(index: int, *logprobs: float) -> Scored:
    top = tuple(((9, number),) for number in logprobs)
    return Scored("s", 0, index, logprobs, top)


def test_scores_are_told_once_and_in_order(choice: Choice) -> None:
    events = [scores(1, -1.0), scores(1, -1.0, -2.0), scores(1, -1.0), scores(3, -3.0)]
    kept = [scores(1, -1.0), scores(2, -2.0), scores(3, -3.0)]
    assert told(choice, *events) == kept


def test_a_missing_score_is_an_error(choice: Choice) -> None:
    (end,) = told(choice, scores(2, -1.0))
    assert isinstance(end, Finished)
    assert end.reason == "error"
    assert "score of prompt token 1 was lost" in end.message


def test_a_missing_token_is_an_error_not_a_shorter_reply(choice: Choice) -> None:
    (end,) = told(choice, tokens(1, 8))
    assert isinstance(end, Finished)
    assert (end.reason, end.length) == ("error", 0)
    assert "token 0 was lost" in end.message


def test_it_ends_once(choice: Choice) -> None:
    assert told(choice, FINISHED, FINISHED, tokens(0, 7), ACCEPTED) == [FINISHED]


def test_the_end_from_this_side_is_the_only_one(choice: Choice) -> None:
    told(choice, ACCEPTED, tokens(0, 7))
    choice.end("cancelled", "the client went away")
    choice.end("error", "too late")
    assert told(choice, tokens(1, 8), FINISHED) == [
        Finished("s", 0, 1, "cancelled", "the client went away")
    ]


def test_an_end_from_this_side_does_not_mean_that_the_backend_has_finished(
    choice: Choice,
) -> None:
    choice.end("cancelled")
    assert not choice.finished
    choice.offer(FINISHED)
    assert choice.finished


def test_a_second_backend_s_acceptance_is_no_news(choice: Choice) -> None:
    assert told(choice, ACCEPTED, ACCEPTED) == [ACCEPTED]


def test_a_rejection_is_told(choice: Choice) -> None:
    rejected = Rejected("s", 0, "overloaded", "full", 3)
    assert told(choice, rejected, ACCEPTED) == [rejected]
    assert choice.finished


def test_a_rejection_after_the_acceptance_is_a_failed_reply(choice: Choice) -> None:
    told(choice, ACCEPTED, tokens(0, 7))
    assert told(choice, Rejected("s", 0, "stopping", "the server is stopping")) == [
        Finished("s", 0, 1, "error", "the server is stopping")
    ]


def test_it_is_submitted_again_with_the_tokens_it_has(choice: Choice) -> None:
    told(choice, tokens(0, 7, 8))
    again = choice.resubmission()
    assert again.delivered == (7, 8)
    assert (again.key, again.prompt, again.seed) == (("s", 0), (1, 2), 1)


def test_nothing_arrived_is_an_empty_list(choice: Choice) -> None:
    assert choice.take(0) == []


def test_a_reader_that_waits_is_woken(choice: Choice) -> None:
    found: list[Event] = []
    reader = threading.Thread(target=lambda: found.extend(choice.take(20)))
    reader.start()
    choice.offer(ACCEPTED)
    reader.join(20)
    assert found == [ACCEPTED]


REPLY = tuple(range(100, 120))
DELIVERIES = st.lists(st.tuples(st.integers(0, 19), st.integers(1, 8)), max_size=30)


@pytest.mark.slow
@given(DELIVERIES)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_at_least_once_deliveries_become_exactly_one_reply(
    deliveries: list[tuple[int, int]],
) -> None:
    choice = Choice(Submit("s", 0, (1,), SamplingParams(max_tokens=20), seed=1))
    read: list[int] = []
    for start, count in deliveries:
        if start > len(choice.tokens):
            continue  # a gap; covered by its own test
        for event in told(choice, tokens(start, *REPLY[start : start + count])):
            assert isinstance(event, Tokens)
            assert event.index == len(read)
            read += event.tokens
    assert tuple(read) == REPLY[: len(read)] == tuple(choice.tokens)


def test_the_first_row_counts_the_cached_tokens(choice: Choice) -> None:
    assert not choice.await_row(0)
    told(choice, ACCEPTED)
    assert not choice.await_row(0)
    assert told(choice, Seated("s", 0, 1), Seated("s", 0, 2)) == []  # no reader needs the events
    assert choice.await_row(0)
    assert (choice.cached, choice.shown) == (1, None)
    assert (choice.show_cached(1), choice.show_cached(2)) == (1, 1)


@pytest.mark.parametrize("recorded", [True, False])
def test_fewer_cached_tokens_correct_a_number_that_nobody_was_shown(
    choice: Choice, recorded: bool
) -> None:
    choice.unwritten = [] if recorded else None
    told(choice, ACCEPTED, Seated("s", 0, 9), Seated("s", 0, 4))
    assert choice.cached == 4
    assert len(choice.times.seatings) == 1, "it has one row"
    assert not recorded or choice.unwritten == [ACCEPTED, Seated("s", 0, 4)]
    told(choice, Seated("s", 0, 0))
    assert choice.cached == 0
    assert not recorded or choice.unwritten == [ACCEPTED]


def test_a_lost_row_is_one_interruption(choice: Choice) -> None:
    choice.interrupt()
    assert choice.times.interruptions == [], "it had no row"
    for rows in (1, 2):
        told(choice, ACCEPTED, Seated("s", 0))
        choice.interrupt()
        choice.interrupt()  # the next backend has ended, too, and said nothing
        choice.count_loss(killed=False)
        assert (len(choice.times.seatings), len(choice.times.interruptions)) == (rows, rows)


def test_a_number_that_was_shown_or_recorded_is_not_corrected(choice: Choice) -> None:
    told(choice, ACCEPTED, Seated("s", 0, 9))
    choice.show_cached(9)
    told(choice, Seated("s", 0, 4))
    assert choice.cached == choice.shown == 9
    other = Choice(choice.submit)
    other.unwritten = []
    told(other, ACCEPTED, Seated("s", 0, 9))
    other.unwritten = []  # the journal has them
    told(other, Seated("s", 0, 4))
    assert (other.cached, other.unwritten) == (9, [])


@pytest.mark.parametrize("event", [tokens(0, 7), FINISHED, Scored("s", 0, 1, (-0.5,))])
def test_what_follows_a_row_proves_it(choice: Choice, event: Event) -> None:
    told(choice, ACCEPTED, event)
    assert choice.await_row(0)


def test_a_row_wakes_its_reader(choice: Choice) -> None:
    threading.Timer(0.05, choice.offer, [Seated("s", 0, 0)]).start()
    assert choice.await_row(20)


def test_no_cached_tokens_need_no_record(choice: Choice) -> None:
    choice.unwritten = []
    told(choice, Seated("s", 0, 0))
    choice.show_cached(0)
    assert choice.unwritten == []
