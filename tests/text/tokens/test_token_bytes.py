"""Each token's bytes, for vocabularies of either kind; joined, they are the text.

Covers `byte_level`, `byte_tokenizer`.
"""

from collections.abc import Callable

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from rowcast.text.tokens.byte_tokenizer import ByteTokenizer
from rowcast.text.tokens.hub_tokenizer import HubTokenizer
from rowcast.text.tokens.token_bytes import TokenBytes
from rowcast.text.tokens.tokenizer import ScriptedTokenizer

TEXT = "größer 😀\n\tok"


def byte_level() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({char: at for at, char in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<end>", special=True)])
    return tokenizer


def marked() -> Tokenizer:
    words = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "o", "k"]
    vocabulary = {word: at for at, word in enumerate(words)}
    tokenizer = Tokenizer(BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


class Unwritten:
    """A tokenizer that cannot be written, since that takes half as long as reading it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.decoder = tokenizer.decoder
        self.get_added_tokens_decoder = tokenizer.get_added_tokens_decoder
        self.id_to_token = tokenizer.id_to_token

    def to_str(self) -> str:
        raise AssertionError("all of it was written")


@pytest.mark.parametrize("make", [byte_level, marked])
def test_its_form_is_found_without_writing_all_of_it(make: Callable[[], Tokenizer]) -> None:
    written = TokenBytes(Unwritten(make()))  # type: ignore[arg-type]
    assert written.byte_level == (make is byte_level)
    assert written.of(5) == TokenBytes(make()).of(5)


@pytest.mark.parametrize("make", [byte_level, marked])
def test_the_bytes_of_tokens_are_the_text(make: Callable[[], Tokenizer]) -> None:
    tokenizer = HubTokenizer(make())
    tokens = tokenizer.encode(TEXT)
    assert b"".join(map(tokenizer.token_bytes, tokens)).decode() == TEXT
    assert len(tokens) > len(TEXT)
    assert max(tokens) < tokenizer.vocabulary


def test_an_added_token_is_its_name() -> None:
    tokenizer = byte_level()
    end = tokenizer.get_vocab()["<end>"]
    assert TokenBytes(tokenizer).of(end) == b"<end>"
    assert TokenBytes(tokenizer).of(end + 1) == b""


def test_a_token_has_its_vocabularys_spelling() -> None:
    spelling = HubTokenizer(byte_level())
    assert [spelling.token_name(token) for token in spelling.encode("a é")] == ["a", "Ġ", "Ã", "©"]
    assert spelling.token_name(byte_level().get_vocab()["<end>"]) == "<end>"
    assert HubTokenizer(marked()).token_name(257) == "\u2581"
    assert ByteTokenizer().token_name(10) == ScriptedTokenizer().token_name(10) == "Ċ"
    assert ByteTokenizer().token_name(256) == ScriptedTokenizer().token_name(256) == "<end>"
    assert ScriptedTokenizer().token_name(257) == "Ġbaba"
