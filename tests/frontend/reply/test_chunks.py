"""Several tokens per piece: split at counted places, the same text, nothing late at its end."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.frontend.reply.chunks import Chunks, Patience
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.sessions.session import Session
from rowcast.sampling_params import SamplingParams
from rowcast.text.tokens.tokenizer import ScriptedTokenizer
from rowcast.wire import Accepted, Finished, Submit, Tokens

from ..sessions.test_session import HOME

ALPHABET = (*b"ab ", *"é".encode(), *"😀".encode(), 256, 257)
STOPS = ["ab", "ba a", "é", "aa"]


class Played:
    """Replies whose events the test plays."""

    def __init__(self, *, count: int = 1, chunk: int = 4, pause: int = 0, stop: str = "") -> None:
        submit = Submit("s", 0, (1,), SamplingParams(max_tokens=99), seed=1)
        submits = [Submit("s", at, (1,), submit.params, seed=1) for at in range(count)]
        origin = Origin.fresh("/", b"", "", "")
        self.session = Session(origin, Caller(), "r", [submits], HOME)
        self.replies = Replies(
            [
                ReplyText(
                    choice,
                    ScriptedTokenizer().decoder(),
                    [stop] if stop else [],
                    lambda _: None,
                    pause=pause,
                    chunk=chunk,
                )
                for choice in self.session.choices
            ],
            self.session,
        )

    @property
    def reply(self) -> ReplyText:
        return self.replies[0]

    def tokens(self, ids: Sequence[int], at: int = 0) -> None:
        choice = self.session.choices[at]
        choice.offer(Tokens(*choice.submit.key, len(choice.tokens), tuple(ids)))

    def finish(self, at: int = 0) -> None:
        choice = self.session.choices[at]
        choice.offer(Finished(*choice.submit.key, len(choice.tokens), "length"))


def pieces_of(
    played: Played, batches: Sequence[Sequence[int]], *, several: bool
) -> list[tuple[str, int]]:
    """Return the pieces of a reply whose tokens come in batches, and the tokens read with each."""
    found: list[tuple[str, int]] = []
    reply = played.reply

    def texts() -> Iterator[str]:
        if not several:
            yield from reply.pieces(silence=0)
            return
        for piece in played.replies.pieces(silence=0):
            yield piece.text if piece else ""

    pieces = texts()
    for batch in batches:
        played.tokens(batch)
        while piece := next(pieces, ""):
            found.append((piece, reply.tokens))
    played.finish()
    return found + [(piece, reply.tokens) for piece in pieces if piece]


def text_of(tokens: Sequence[int], stop: str) -> str:
    played = Played(chunk=1, stop=stop)
    played.tokens(tokens)
    played.finish()
    return played.reply.text()


def batched(tokens: Sequence[int], cuts: Sequence[int]) -> list[Sequence[int]]:
    places = sorted({at for at in cuts if 0 < at < len(tokens)} | {0, len(tokens)})
    return [tokens[begin:end] for begin, end in pairwise(places)]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(ALPHABET), min_size=1, max_size=40),
    st.sampled_from(["", *STOPS]),
    st.lists(st.integers(0, 40), max_size=20),
    st.integers(1, 9),
    st.integers(0, 40),
    st.booleans(),
)
def test_pieces_end_at_counted_places_and_hold_the_same_text(
    tokens: list[int], stop: str, cuts: list[int], chunk: int, pause: int, several: bool
) -> None:
    played = Played(chunk=chunk, pause=pause, stop=stop)
    found = pieces_of(played, batched(tokens, cuts), several=several)
    assert "".join(piece for piece, _ in found) == text_of(tokens, stop)
    ends = [count for _, count in found[:-1]]
    assert chunk == 1 or all(count % chunk == 0 or count == pause for count in ends)


@pytest.mark.parametrize("several", [False, True])
def test_a_chunk_is_sent_when_its_last_token_is_there(several: bool) -> None:
    played = Played(chunk=3)
    found = pieces_of(played, [b"a", b"b", b"cdefg", b"h"], several=several)
    assert found == [("abc", 3), ("def", 6), ("gh", 8)]


@pytest.mark.parametrize("several", [False, True])
def test_a_chunk_ends_at_the_position_of_its_reader(several: bool) -> None:
    played = Played(chunk=4, pause=6)
    found = pieces_of(played, [b"abcdefghij"], several=several)
    assert found == [("abcd", 4), ("ef", 6), ("gh", 8), ("ij", 10)]


def test_a_stop_sequence_inside_a_chunk_ends_the_reply_at_once() -> None:
    played = Played(chunk=100, stop="cd")
    pieces = played.reply.pieces()
    played.tokens(b"abcde")
    assert next(pieces) == "ab"
    assert played.reply.ending is not None
    assert (played.reply.ending.reason, played.reply.tokens) == ("stop", 4)


def test_choices_do_not_wait_for_each_other() -> None:
    played = Played(count=2, chunk=2)
    pieces = played.replies.pieces(silence=0)
    played.tokens(b"a", at=0)
    played.tokens(b"xyz", at=1)
    first = next(pieces)
    assert first is not None
    assert (first.reply, first.text) == (1, "xy")
    played.tokens(b"b", at=0)
    second = next(pieces)
    assert second is not None
    assert (second.reply, second.text) == (0, "ab")


def test_single_tokens_are_marked_as_parts_of_a_chunk() -> None:
    played = Played(chunk=3)
    played.tokens(b"abcd")
    played.finish()
    pieces = list(played.replies.pieces(singly=True))
    assert [(each.text, each.more) for each in pieces if each] == [
        ("a", True),
        ("b", True),
        ("c", False),
        ("d", True),
        ("", False),
    ]


@pytest.mark.parametrize("several", [False, True])
def test_a_reader_gets_a_sign_of_life_while_a_chunk_is_not_full(several: bool) -> None:
    played = Played(chunk=50)
    pieces = played.replies.pieces(silence=0.01) if several else played.reply.pieces(silence=0.01)
    played.tokens(b"a")
    assert not next(pieces)
    played.tokens(b"b")
    assert not next(pieces)
    played.finish()
    last = [each for each in pieces if each]
    assert [each if isinstance(each, str) else each.text for each in last] == ["ab"]


def test_the_acceptance_of_a_prompt_is_no_piece() -> None:
    played = Played(chunk=4)
    played.session.choices[0].offer(Accepted("s", 0))
    played.tokens(b"abcd")
    assert next(played.reply.pieces()) == "abcd"


@pytest.mark.parametrize("size", [0, 1])
def test_without_chunks_nothing_is_held(size: int) -> None:
    chunks = Chunks(size)
    assert not chunks.joins
    assert [chunks.end_at(tokens) for tokens in range(3)] == [True] * 3
    assert Patience(None, joins=True).left is None
    assert Patience(5.0, joins=False).left == 5.0
