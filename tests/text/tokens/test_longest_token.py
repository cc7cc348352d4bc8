"""How much text one token can stand for, and when that is unknown."""

from typing import Any

import pytest

from rowcast.text.tokens.longest_token import longest_token

BYTE_LEVEL: dict[str, Any] = {
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel"},
    "model": {"type": "BPE"},
}
FALLBACK: dict[str, Any] = {
    "added_tokens": [],
    "normalizer": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
        ],
    },
    "pre_tokenizer": None,
    "model": {"type": "BPE", "byte_fallback": True},
}
WORDS = ["a", "\u2581abc", "abcde"]


@pytest.mark.parametrize("words", [BYTE_LEVEL, FALLBACK])
def test_the_longest_word_is_the_bound(words: dict[str, Any]) -> None:
    assert longest_token(words, WORDS) == 6


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": {"type": "NFC"}},
        {"normalizer": {"type": "Strip"}},
        {"normalizer": {"type": "Replace", "pattern": {"String": "  "}, "content": " "}},
        {"normalizer": {"type": "Replace", "pattern": {"Regex": " +"}, "content": "\u2581"}},
        {"added_tokens": [{"content": "<end>", "rstrip": True}]},
        {"pre_tokenizer": {"type": "WhitespaceSplit"}},
        {
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [{"type": "Split", "behavior": "Removed"}, {"type": "ByteLevel"}],
            }
        },
        {"pre_tokenizer": {"type": "Metaspace"}},  # and no byte has its own token
    ],
)
def test_there_is_none_where_text_may_be_lost(change: dict[str, Any]) -> None:
    assert longest_token(BYTE_LEVEL | change, WORDS) == 0
