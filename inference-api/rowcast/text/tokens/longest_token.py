"""How much text one token can stand for, to detect too long a text without tokenizing it.

Holds if every byte of a text ends up in some token. There is no such bound with normalizers that
shorten, pre-tokenizers that drop, or tokens that absorb spaces or stand for anything unknown.
"""

from collections.abc import Iterable, Mapping
from typing import Any

_KEEPING_NORMALIZERS = frozenset({"Prepend", "ByteLevel"})
_KEEPING_SPLITTERS = frozenset({"ByteLevel", "Digits", "Metaspace"})
_DROPS = "Removed"


def longest_token(words: Mapping[str, Any], vocabulary: Iterable[str]) -> int:
    """Return the maximum bytes of text per token; 0 if there is no maximum.

    `words`: the contents of `tokenizer.json`.
    """
    model = words.get("model") or {}
    keeps = (
        _knows_every_byte(model, words.get("pre_tokenizer"))
        and all(map(_keeps_length, _parts(words.get("normalizer"), "normalizers")))
        and all(map(_keeps_text, _parts(words.get("pre_tokenizer"), "pretokenizers")))
        and not any(each.get("lstrip") or each.get("rstrip") for each in words["added_tokens"])
    )
    # A vocabulary may spell a byte with a longer character, never with a shorter one.
    return max((len(word.encode()) for word in vocabulary), default=0) if keeps else 0


def _knows_every_byte(model: Mapping[str, Any], splitter: Mapping[str, Any] | None) -> bool:
    parts = _parts(splitter, "pretokenizers")
    return bool(model.get("byte_fallback")) or any(part["type"] == "ByteLevel" for part in parts)


def _parts(part: Mapping[str, Any] | None, inner: str) -> list[Mapping[str, Any]]:
    """Return the parts of a sequence; any other part of the tokenizer as a list of one."""
    if part is None:
        return []
    if part["type"] != "Sequence":
        return [part]
    return [each for nested in part[inner] for each in _parts(nested, inner)]


def _keeps_length(normalizer: Mapping[str, Any]) -> bool:
    if normalizer["type"] != "Replace":
        return normalizer["type"] in _KEEPING_NORMALIZERS
    replaced = normalizer["pattern"].get("String")
    return bool(replaced) and len(normalizer["content"].encode()) >= len(replaced.encode())


def _keeps_text(splitter: Mapping[str, Any]) -> bool:
    if splitter["type"] in {"Split", "Punctuation"}:
        return bool(splitter.get("behavior") != _DROPS)
    return splitter["type"] in _KEEPING_SPLITTERS
