"""The byte-level alphabet: how vocabularies spell bytes as printable characters.

Printable bytes of Latin-1 stand for themselves, the others follow from U+0100 on, in order: a space
is `Ġ`, a line feed `Ċ`.
"""

from functools import cache


def spelled(raw: bytes) -> str:
    """Return bytes as a byte-level vocabulary writes them."""
    table = characters()
    return "".join(table[byte] for byte in raw)


@cache
def characters() -> dict[int, str]:
    """Return the character that stands for each byte."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    moved = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + at) for at, byte in enumerate(moved)
    }
