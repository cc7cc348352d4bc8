"""The scripted tokenizer: bytes in, whole characters out.

Covers `bytes_decoder`, `scripted_vocabulary`.
"""

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.scripted_vocabulary import END, FIRST_WORD, TEXTS, WORDS
from rowcast.text.tokens.tokenizer import ScriptedTokenizer

BOUNDED = settings(deadline=None, derandomize=True, max_examples=200)
TOKENS = st.lists(
    st.integers(0, len(TEXTS) - 1) | st.sampled_from([0xC3, 0xA9, 0xE6, 0xF0, 0x9F, 0x98, 0x80]),
    max_size=30,
)
SIZES = st.lists(st.integers(1, 5), max_size=30)


def pieces(tokens: list[int], sizes: list[int]) -> list[str]:
    """Return the text of `tokens`, fed in parts of `sizes`, and the text at the end."""
    decoder = ScriptedTokenizer().decoder()
    ends = [end for end in accumulate(sizes) if end < len(tokens)] + [len(tokens)]
    parts = [tokens[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return [*(decoder.feed(part) for part in parts), decoder.finish()]


@pytest.mark.slow
@given(st.text(max_size=40))
@BOUNDED
def test_a_prompt_is_its_bytes(text: str) -> None:
    assert bytes(ScriptedTokenizer().encode(text)) == text.encode()


@pytest.mark.slow
@given(TOKENS, SIZES)
@BOUNDED
def test_the_text_does_not_depend_on_where_tokens_are_cut(
    tokens: list[int], sizes: list[int]
) -> None:
    whole = b"".join(TEXTS[token] for token in tokens).decode(errors="replace")
    assert "".join(pieces(tokens, sizes)) == whole


@pytest.mark.slow
@given(st.text(max_size=20), SIZES)
@BOUNDED
def test_no_character_is_ever_broken(text: str, sizes: list[int]) -> None:
    assert "\ufffd" not in "".join(pieces(list(text.replace("\ufffd", "").encode()), sizes))


@pytest.mark.parametrize("character", ["é", "語", "😀"])
def test_a_character_comes_with_its_last_byte(character: str) -> None:
    decoder = ScriptedTokenizer().decoder()
    *first, last = character.encode()
    assert [decoder.feed([byte]) for byte in first] == [""] * len(first)
    assert decoder.feed([last]) == character


def test_a_character_that_stays_incomplete_is_one_replacement() -> None:
    decoder = ScriptedTokenizer().decoder()
    assert decoder.feed([0xF0, 0x9F, 0x98]) == ""
    assert decoder.finish() == "\ufffd"


def test_a_word_after_half_a_character_shows_both() -> None:
    assert "".join(pieces([0xE6, FIRST_WORD], [])) == "\ufffd baba"


def test_the_end_of_text_is_never_shown() -> None:
    assert "".join(pieces([END, END], [1])) == ""


def test_decoders_know_nothing_of_each_other() -> None:
    tokenizer = ScriptedTokenizer()
    tokenizer.decoder().feed([0xF0])
    assert tokenizer.decoder().feed([0x41]) == "A"


def test_the_vocabulary_is_bytes_an_end_and_distinct_words() -> None:
    assert len(TEXTS) == 256 + 1 + 3600
    assert TEXTS[FIRST_WORD : FIRST_WORD + 2] == (b" baba", b" babe")
    assert TEXTS[-1] == b" tutu"
    assert len(set(WORDS)) == 3600


def test_the_end_of_text_is_the_only_special_token() -> None:
    tokenizer = ScriptedTokenizer()
    assert tokenizer.end == END
    assert [token for token in range(300) if tokenizer.is_special(token)] == [END]
