"""Stop sequences at random: wherever a text is cut, the output is the same, without a stop."""

import random

import pytest

from rowcast.text.stop import StopFilter

CASES = 10_000


def released(text: str, stops: list[str], cuts: list[int]) -> tuple[str, bool]:
    stop = StopFilter(stops)
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    out = "".join(map(stop.feed, pieces)) + stop.finish()
    return out, stop.stopped


def before_first(text: str, stops: list[str]) -> str:
    """Return the text up to the earliest stop, by definition."""
    return text[: min((text.find(stop) for stop in stops if stop in text), default=len(text))]


@pytest.mark.slow
def test_ten_thousand_texts_cut_anywhere() -> None:
    chance = random.Random(7)
    for _ in range(CASES):
        text = "".join(chance.choices("ab😀\n", k=chance.randint(0, 24)))
        stops = ["".join(chance.choices("ab😀\n", k=chance.randint(1, 5))) for _ in range(3)]
        cuts = sorted(chance.sample(range(len(text) + 1), chance.randint(0, min(6, len(text)))))
        wanted = before_first(text, stops)
        found, stopped = released(text, stops, cuts)
        assert found == wanted, (text, stops, cuts)
        assert stopped == any(stop in text for stop in stops)


def test_every_split_of_a_stop_sequence_into_two() -> None:
    for stop in ("END", "\n\n", "</s>", "aab", "😀😀"):
        text = f"before aa{stop} after"
        for cut in range(len(text) + 1):
            assert released(text, [stop], [cut]) == (before_first(text, [stop]), True)
