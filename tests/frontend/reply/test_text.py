"""A reply's text: whole pieces, one true end, and counts that do not depend on timing."""

from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rule import reply as expected
from rowcast.errors import NotReady, Overloaded, PromptTooLong, ReplyFailed
from rowcast.frontend.reply.text import Ending, ReplyText
from rowcast.frontend.sessions.choice import Choice
from rowcast.sampling_params import SamplingParams
from rowcast.scripted_vocabulary import FIRST_WORD
from rowcast.text.tokens.tokenizer import ScriptedTokenizer
from rowcast.wire import Accepted, Event, Finished, FinishReason, Rejected, Submit, Tokens

SMILEY = (0xF0, 0x9F, 0x98, 0x80)


class Told:
    """A reply and its choice, which the test fills."""

    def __init__(self, *stop: str) -> None:
        self.choice = Choice(Submit("s", 0, (1,), SamplingParams(max_tokens=99), seed=1))
        self.closed = 0
        self.reply = ReplyText(self.choice, ScriptedTokenizer().decoder(), stop, self._close)

    def _close(self, reply: ReplyText) -> None:
        assert reply is self.reply
        self.closed += 1

    def tell(self, *events: Event) -> None:
        for event in events:
            self.choice.offer(event)

    def tokens(self, *ids: int) -> None:
        self.tell(Tokens("s", 0, len(self.choice.tokens), ids))

    def finish(self, reason: FinishReason = "length", message: str = "") -> None:
        self.tell(Finished("s", 0, len(self.choice.tokens), reason, message))


def letters(text: str) -> tuple[int, ...]:
    return tuple(text.encode())


def test_each_token_is_a_piece_to_a_reader_that_keeps_up() -> None:
    told = Told()
    pieces = told.reply.pieces()
    read = []
    for token in (FIRST_WORD, FIRST_WORD + 1, 33):
        told.tokens(token)
        read.append(next(pieces))
    assert read == [" baba", " babe", "!"]


def test_a_reader_that_lags_gets_everything_at_once() -> None:
    told = Told()
    for token in letters("everything"):
        told.tokens(token)
    assert next(told.reply.pieces()) == "everything"


def test_a_character_is_one_piece_though_it_is_four_tokens() -> None:
    told = Told()
    for token in SMILEY:
        told.tokens(token)
    told.finish()
    assert list(told.reply.pieces()) == ["😀"]


def test_a_reply_that_ends_inside_a_character_shows_one_replacement() -> None:
    told = Told()
    told.tokens(*letters("a"), *SMILEY[:2])
    told.finish()
    assert told.reply.text() == "a\ufffd"


def test_the_end_is_the_backend_s() -> None:
    told = Told()
    told.tokens(*letters("abc"))
    told.finish("stop")
    assert told.reply.text() == "abc"
    assert told.reply.ending == Ending("stop", 3)


@pytest.mark.parametrize(
    ("reason", "whole"),
    [("stop", True), ("length", True), ("cancelled", False), ("error", False)],
)
def test_only_a_reply_that_came_to_its_end_is_whole(reason: FinishReason, whole: bool) -> None:
    told = Told()
    told.finish(reason, "why")
    told.reply.text()
    assert told.reply.ending == Ending(reason, 0, "why")
    assert told.reply.ending.whole is whole


@pytest.mark.parametrize("reason", ["cancelled", "error"])
def test_a_reply_that_fails_shows_nothing_that_it_might_not_have_said(
    reason: FinishReason,
) -> None:
    told = Told("</s>")
    told.tokens(*letters("a </"), *SMILEY[:2])
    told.finish(reason)
    assert told.reply.text() == "a "
    told = Told()
    told.tokens(*letters("a"), *SMILEY[:2])
    told.finish(reason)
    assert told.reply.text() == "a"


def test_a_stop_sequence_across_tokens_ends_the_reply_before_it() -> None:
    told = Told("ba ba")
    told.tokens(FIRST_WORD)
    told.tokens(FIRST_WORD, FIRST_WORD)
    assert told.reply.text() == " ba"
    assert told.reply.ending == Ending("stop", 2)


def test_what_follows_a_stop_sequence_is_never_read() -> None:
    told = Told(".")
    told.tokens(*letters("a.bc"))
    told.tokens(*letters("d"))
    told.finish("error", "later")
    assert told.reply.text() == "a"
    assert told.reply.ending == Ending("stop", 2)


def test_a_stop_sequence_that_is_never_whole_changes_nothing() -> None:
    told = Told("</s>")
    told.tokens(*letters("a </s"))
    told.finish("length")
    assert told.reply.text() == "a </s"
    assert told.reply.ending == Ending("length", 5)


def test_a_stop_sequence_that_only_the_end_reveals_is_a_stop() -> None:
    told = Told("abcd", "b")
    told.tokens(*letters("abc"))
    told.finish("length")
    assert told.reply.text() == "a"
    assert told.reply.ending == Ending("stop", 3)


def test_silence_is_an_empty_piece() -> None:
    pieces = Told().reply.pieces(silence=0.001)
    assert [next(pieces), next(pieces)] == ["", ""]


def test_tokens_that_make_no_text_yet_are_no_piece() -> None:
    told = Told()
    told.tokens(*SMILEY[:3])
    told.tokens(SMILEY[3])
    assert next(told.reply.pieces(silence=20)) == "😀"


def batched(tokens: Sequence[int], sizes: Sequence[int]) -> list[Sequence[int]]:
    ends = [*(end for end in accumulate(sizes) if end < len(tokens)), len(tokens)]
    return [tokens[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def whole(tokens: Sequence[int], stop: str) -> tuple[str, str, int]:
    """Compute text, reason and count from the whole reply, token by token."""
    text = bytes_of(tokens)
    if not stop or stop not in text:
        return text, "length", len(tokens)
    count = next(n for n in range(len(tokens) + 1) if stop in bytes_of(tokens[:n], "ignore"))
    return text[: text.index(stop)], "stop", count


def bytes_of(tokens: Sequence[int], errors: str = "replace") -> str:
    decoder = ScriptedTokenizer().decoder()
    return decoder.feed(tokens) + (decoder.finish() if errors == "replace" else "")


@pytest.mark.slow
@given(
    st.integers(0, 200),
    st.sampled_from(["", " ", "a", "!", "di", "ba b", "i ", "😀", "é"]),
    st.lists(st.integers(1, 9), max_size=30),
    st.sets(st.integers(0, 30)),
)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_neither_text_nor_count_hangs_on_how_tokens_are_batched(
    seed: int, stop: str, sizes: list[int], reads: set[int]
) -> None:
    tokens, _ = expected(b"batch", seed, 40, ignore_eos=True)
    told = Told(*([stop] if stop else []))
    pieces, read = told.reply.pieces(silence=0), ""
    for number, some in enumerate(batched(tokens, sizes)):
        told.tokens(*some)
        if number in reads:
            read += next(pieces, "")
    told.finish("length")
    read += "".join(pieces)
    assert told.reply.ending is not None
    assert (read, told.reply.ending.reason, told.reply.ending.tokens) == whole(tokens, stop)


def test_the_verdict_of_an_accepted_prompt_loses_nothing() -> None:
    told = Told()
    told.tell(Accepted("s", 0))
    told.tokens(*letters("a"))
    told.reply.verdict(20)
    told.finish()
    assert told.reply.text() == "a"


REFUSALS: list[tuple[Rejected, type[Exception]]] = [
    (Rejected("s", 0, "too_long", "shorten it"), PromptTooLong),
    (Rejected("s", 0, "overloaded", "full", 4), Overloaded),
]


@pytest.mark.parametrize(("rejected", "error"), REFUSALS)
def test_the_verdict_of_a_rejected_prompt_is_its_error(
    rejected: Rejected, error: type[Exception]
) -> None:
    told = Told()
    told.tell(rejected)
    with pytest.raises(error, match=rejected.message):
        told.reply.verdict(20)
    assert told.closed == 1


def test_without_a_verdict_in_time_the_backend_is_not_ready() -> None:
    told = Told()
    with pytest.raises(NotReady, match="does not respond"):
        told.reply.verdict(0.01)
    assert told.closed == 1


def test_a_reply_that_failed_before_it_began_is_an_error_not_an_empty_text() -> None:
    told = Told()
    told.choice.end("error", "3 backends ended")
    with pytest.raises(ReplyFailed, match="3 backends ended"):
        told.reply.verdict(20)
    assert told.closed == 1


def test_it_is_closed_once() -> None:
    told = Told()
    told.reply.close()
    told.reply.close()
    assert told.closed == 1


def test_it_remembers_when_its_first_token_came() -> None:
    told = Told()
    told.tell(Accepted("s", 0))
    told.reply.verdict(20)
    assert not told.reply.first
    told.tokens(65)
    next(told.reply.pieces())
    first = told.reply.first
    told.tokens(66)
    told.finish()
    told.reply.text()
    assert told.reply.first == first > 0
