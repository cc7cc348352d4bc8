"""Decoding piece by piece: the library's text, in the same time for every token.

Covers `hub_tokenizer`.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers

from rowcast.model_files import ModelFiles
from rowcast.text.tokens.hub_tokenizer import MOST_HELD, HubTokenizer, StreamDecoder, end_of
from rowcast.text.tokens.tokenizer import decoded

STORYTELLER = Path(__file__).parents[3] / "models" / "storyteller" / "tokenizer.json"
BYTE_LEVEL = FastTokenizer.from_file(str(STORYTELLER))


def byte_fallback() -> FastTokenizer:
    """Return a vocabulary of the other kind: text with marks for spaces, and single bytes."""
    words = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "\u2581Hi", "a"]
    made = FastTokenizer(
        models.BPE({word: at for at, word in enumerate(words)}, [], byte_fallback=True)
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    made.add_special_tokens(["<s>"])
    return made


MARKED = byte_fallback()


def whole(tokenizer: FastTokenizer, tokens: list[int]) -> str:
    text: str = tokenizer.decode(tokens, skip_special_tokens=True)
    return text


@pytest.mark.slow
@given(st.lists(st.integers(0, BYTE_LEVEL.get_vocab_size() - 1), max_size=60))
def test_pieces_of_a_byte_level_tokenizer_join_to_the_library_s_text(tokens: list[int]) -> None:
    assert decoded(HubTokenizer(BYTE_LEVEL), tokens) == whole(BYTE_LEVEL, tokens)


@pytest.mark.slow
@given(st.text(max_size=40))
def test_texts_come_back_as_they_were(text: str) -> None:
    tokenizer = HubTokenizer(BYTE_LEVEL)
    decoder = tokenizer.decoder()
    pieces = [decoder.feed([token]) for token in tokenizer.encode(text, special=False)]
    assert "".join(pieces) + decoder.finish() == text


@pytest.mark.slow
@given(st.lists(st.sampled_from([1, 258, 259, 260, *range(2 + 0x41, 2 + 0x45)]), max_size=60))
def test_pieces_of_a_marked_tokenizer_join_to_the_library_s_text(tokens: list[int]) -> None:
    decoder = StreamDecoder(MARKED, {1})
    pieces = [decoder.feed([token]) for token in tokens]
    assert "".join(pieces) + decoder.finish() == whole(MARKED, tokens)


def test_no_more_tokens_are_held_than_a_character_may_have_and_some() -> None:
    decoder = StreamDecoder(MARKED, {1})
    assert decoder.feed([259]) == "Hi"
    broken = 2 + 0x80  # a continuation byte without a character
    pieces = [decoder.feed([broken]) for _ in range(10 * MOST_HELD)]
    assert sum(map(bool, pieces)) == 10
    assert decoder.feed([259]) == " Hi"


def test_special_tokens_are_not_held_at_all() -> None:
    decoder = StreamDecoder(MARKED, {1})
    assert decoder.feed([1] * 1000) == ""
    assert decoder._held == []
    assert decoder.feed([259]) == "Hi"


@pytest.mark.parametrize(
    ("text", "known"), [("", True), ("a b  c" * 50, True), ("\u00e4\U0001f600" * 30, True)]
)
def test_a_text_has_no_fewer_tokens_than_its_length_tells(text: str, known: bool) -> None:
    tokenizer = HubTokenizer(BYTE_LEVEL)
    least = tokenizer.least_tokens(text)
    assert least <= len(tokenizer.encode(text, special=False))
    assert (least > 0) == (known and len(text) > 50)


@pytest.mark.parametrize(
    ("generation", "config", "end"),
    [
        ({"eos_token_id": 3}, {"eos_token_id": 4}, 3),
        ({"eos_token_id": [5, 6]}, {}, 5),
        ({}, {"eos_token_id": 4}, 4),
        ({"eos_token_id": None}, {"eos_token_id": []}, None),
        ({"eos_token_id": True}, {"eos_token_id": "3"}, None),
        (None, None, None),
    ],
)
def test_the_end_of_text_is_the_one_that_the_files_name(
    tmp_path: Path, generation: object, config: object, end: int | None
) -> None:
    for name, words in (("generation_config.json", generation), ("config.json", config)):
        if words is not None:
            (tmp_path / name).write_text(json.dumps(words))
    assert end_of(ModelFiles("m", tmp_path, None)) == end


def test_special_tokens_are_those_that_a_text_omits() -> None:
    tokenizer = HubTokenizer.of(ModelFiles("m", STORYTELLER.parent, None))
    assert tokenizer.end is not None
    assert tokenizer.is_special(tokenizer.end)
    assert decoded(tokenizer, [tokenizer.end]) == ""
    assert not any(map(tokenizer.is_special, tokenizer.encode("Once", special=False)))
