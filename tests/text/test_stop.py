"""Stop sequences: found wherever pieces are cut, never sent, and nothing is held back longer."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.text.stop import StopFilter, StopSequences
from sizes import often

# Few letters, so that sequences overlap, repeat and contain each other.
TEXTS = st.text("ab\n", max_size=16)
SEQUENCES = st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3)
CUTS = st.sets(st.integers(1, 15))


def expected(text: str, sequences: list[str]) -> tuple[str, bool]:
    """Return the text that a reader sees if it arrives whole, and whether it was stopped."""
    for at in range(len(text)):
        if any(text[at:].startswith(sequence) for sequence in sequences):
            return text[:at], True
    return text, False


def cut(text: str, places: set[int]) -> list[str]:
    """Return `text` in pieces that end at `places`."""
    ends = [*sorted(place for place in places if place < len(text)), len(text)]
    return [text[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def streamed(pieces: list[str], sequences: list[str]) -> tuple[str, bool]:
    """Return the text that a reader sees if it arrives in pieces, and whether it was stopped."""
    stop = StopFilter(sequences)
    released = "".join([stop.feed(piece) for piece in pieces]) + stop.finish()
    return released, stop.stopped


@pytest.mark.slow
@given(TEXTS, SEQUENCES, CUTS)
@settings(deadline=None, derandomize=True, max_examples=500)
def test_a_stream_reads_as_the_whole_text_would(
    text: str, sequences: list[str], cuts: set[int]
) -> None:
    assert streamed(cut(text, cuts), sequences) == expected(text, sequences)


@pytest.mark.parametrize("sequence", [".", "</s>", "###", "aab", "\n\nUser:", "😀.", "né"])
def test_every_way_to_split_a_sequence_stops_the_reply(sequence: str) -> None:
    text = f"a reply{sequence} and more"
    first, last = 7, 7 + len(sequence)
    for count in range(len(sequence) + 1):
        for places in combinations(range(first, last + 1), count):
            assert streamed(cut(text, set(places)), [sequence]) == ("a reply", True)


@pytest.mark.slow
@given(TEXTS, SEQUENCES.filter(bool), CUTS)
@settings(deadline=None, derandomize=True, max_examples=500)
def test_only_what_may_become_a_sequence_is_held_back(
    text: str, sequences: list[str], cuts: set[int]
) -> None:
    stop = StopFilter(sequences)
    seen = released = ""
    for piece in cut(text, cuts):
        seen += piece
        released += stop.feed(piece)
        if stop.stopped:
            return
        held = seen[len(released) :]
        assert not held or any(sequence.startswith(held) for sequence in sequences)


class Plain:
    """The same filter by definition: it searches all held text for each sequence."""

    def __init__(self, sequences: list[str]) -> None:
        self._sequences = sequences
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        text = "" if self.stopped else self._held + piece
        keep_from, at = self._hold_from(text), self._found_at(text)
        self.stopped = self.stopped or (at <= keep_from and at < len(text))
        released = at if self.stopped else keep_from
        self._held = "" if self.stopped else text[keep_from:]
        return text[:released]

    def finish(self) -> str:
        held, at = self._held, self._found_at(self._held)
        self.stopped = self.stopped or at < len(held)
        return held[:at]

    def _found_at(self, text: str) -> int:
        places = (text.find(sequence) for sequence in self._sequences)
        return min((at for at in places if at >= 0), default=len(text))

    def _hold_from(self, text: str) -> int:
        return next((at for at in range(len(text)) if self._may_begin(text[at:])), len(text))

    def _may_begin(self, end: str) -> bool:
        return any(
            len(end) < len(sequence) and sequence.startswith(end) for sequence in self._sequences
        )


@pytest.mark.slow
@given(
    st.lists(st.text("ab\n", max_size=5), max_size=12),
    st.lists(st.text("ab\n", min_size=1, max_size=6), max_size=5),
)
@settings(deadline=None, derandomize=True, max_examples=often(500, 5000))
def test_every_piece_releases_what_the_definition_does(
    pieces: list[str], sequences: list[str]
) -> None:
    plain, stop = Plain(sequences), StopFilter(sequences)
    for piece in pieces:
        assert (stop.feed(piece), stop.stopped) == (plain.feed(piece), plain.stopped)
    assert (stop.finish(), stop.stopped) == (plain.finish(), plain.stopped)


def test_filters_that_share_their_sequences_know_nothing_of_each_other() -> None:
    shared = StopSequences(["</s>"])
    one, two = StopFilter(shared), StopFilter(shared)
    assert (one.feed("a</"), two.feed("b</s"), one.feed("s>")) == ("a", "b", "")
    assert (one.stopped, two.stopped, two.finish()) == (True, False, "</s")


@pytest.mark.slow
def test_long_sequences_that_a_text_follows_cost_no_more_than_the_text_is_long() -> None:
    stop = StopFilter(["ab" * 50_000 + str(number) for number in range(16)])
    assert "".join(map(stop.feed, ["ab"] * 100_000)) + stop.finish() == "ab" * 100_000


def test_without_sequences_a_piece_passes_at_once() -> None:
    stop = StopFilter()
    assert stop.feed("anything") == "anything"
    assert stop.finish() == ""
    assert not stop.stopped


def test_a_beginning_that_leads_nowhere_is_released_when_that_is_known() -> None:
    stop = StopFilter(["</s>"])
    assert [stop.feed(piece) for piece in ("a <", "/", "b")] == ["a ", "", "</b"]


def test_what_is_held_back_at_the_end_is_released() -> None:
    stop = StopFilter(["</s>"])
    assert stop.feed("a </s") == "a "
    assert stop.finish() == "</s"
    assert not stop.stopped


def test_a_whole_sequence_inside_the_beginning_of_another_stops_at_the_end() -> None:
    # "abc" may become "abcd", so "b" is not known to be the first until nothing follows.
    stop = StopFilter(["abcd", "b"])
    assert stop.feed("xabc") == "x"
    assert stop.finish() == "a"
    assert stop.stopped


def test_after_a_stop_nothing_leaves() -> None:
    stop = StopFilter(["."])
    assert stop.feed("a.b") == "a"
    assert (stop.feed("c"), stop.finish()) == ("", "")


def test_a_sequence_at_the_very_beginning_leaves_nothing() -> None:
    assert streamed([".", "a"], ["."]) == ("", True)


@given(TEXTS, SEQUENCES, CUTS)
def test_what_occurred_does_not_depend_on_the_pieces(
    text: str, sequences: list[str], cuts: set[int]
) -> None:
    stop = StopFilter(sequences)
    before = "".join([stop.feed(piece) for piece in cut(text, cuts)]) + stop.finish()
    here = text[len(before) :]
    shortest = min(filter(here.startswith, sequences), key=len, default="")
    assert stop.found == (shortest if stop.stopped else "")


def test_the_sequence_that_begins_earliest_counts() -> None:
    assert streamed(["x<<end>>"], ["end", "<<end>>"]) == ("x", True)
