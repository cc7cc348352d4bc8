"""A second implementation of the scripted engine's rule.

In: a prompt's bytes, a seed, a choice and a token limit. Out: every byte of the reply, the number
of its tokens, and why it ends. The rule is arithmetic on (tokens so far, seed, position), so a
reply can be computed here without a server. This module shares no code with the server that it
judges, and knows nothing of HTTP.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from zlib import crc32

END_OF_TEXT = 256
FIRST_WORD = 257
WORDS = 3600
SYLLABLES = tuple(consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou")
LEADS = (
    *(0xC3, 0xC4, 0xC5, 0xCE, 0xCF, 0xD0, 0xD1),
    *(0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9),
    *(0xF0, 0xF0, 0xF0),
)
MARKS = b".,!?;:-\n"

_STATE = struct.Struct("<QII")
_TOKEN = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Reply:
    """The required reply: its text in UTF-8, its tokens, its finish reason."""

    text: bytes
    tokens: int
    finish_reason: str


def reply_to(prompt: bytes, seed: int, max_tokens: int, choice: int = 0) -> Reply:
    """Compute the whole reply to a prompt that is encoded as one token per byte."""
    crc = crc32(struct.pack(f"<{len(prompt)}I", *prompt))
    before, last = _last_two(prompt)
    missing = _still_missing(prompt)
    tokens: list[int] = []
    for position in range(max_tokens):
        noise = _mix(crc32(_STATE.pack(seed, choice, position), crc))
        token = _choose(noise, missing, before, last)
        if token == END_OF_TEXT:
            return Reply(_text(tokens), position + 1, "stop")
        tokens.append(token)
        crc = crc32(_TOKEN.pack(token), crc)
        missing = _missing_after(token, missing)
        before, last = last, token
    return Reply(_text(tokens), max_tokens, "length")


def _mix(x: int) -> int:
    x = ((x ^ (x >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return x ^ (x >> 16)


def _choose(noise: int, missing: int, before: int, last: int) -> int:
    if missing:
        return _continuation(noise, before, last)
    kind, rest = noise % 512, noise >> 9
    if kind == 0:
        return END_OF_TEXT
    if kind < 32:
        return LEADS[rest % 16]
    if kind < 64:
        return MARKS[rest % 8]
    return FIRST_WORD + rest % WORDS


def _continuation(noise: int, before: int, last: int) -> int:
    # Four-byte characters are limited to U+1F600..U+1F63F, which every terminal can show.
    if last == 0xF0:
        return 0x9F
    if (before, last) == (0xF0, 0x9F):
        return 0x98
    return 0x80 | (noise & 0x3F)


def _missing_after(token: int, missing: int) -> int:
    """Return how many bytes the last UTF-8 character still lacks after `token`."""
    if 0x80 <= token <= 0xBF:
        return max(missing - 1, 0)
    if 0xC2 <= token <= 0xDF:
        return 1
    if 0xE0 <= token <= 0xEF:
        return 2
    return 3 if 0xF0 <= token <= 0xF4 else 0


def _still_missing(prompt: bytes) -> int:
    missing = 0
    for token in prompt[-4:]:
        missing = _missing_after(token, missing)
    return missing


def _last_two(prompt: bytes) -> tuple[int, int]:
    before, last = (-1, -1, *prompt)[-2:]
    return before, last


def _text(tokens: list[int]) -> bytes:
    joined = b"".join(_bytes_of(token) for token in tokens)
    return joined.decode("utf-8", errors="replace").encode()


def _bytes_of(token: int) -> bytes:
    if token < END_OF_TEXT:
        return bytes((token,))
    first, second = divmod(token - FIRST_WORD, len(SYLLABLES))
    return f" {SYLLABLES[first]}{SYLLABLES[second]}".encode()
