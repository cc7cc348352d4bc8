"""What a grammar may cost: the bounds of its text, and those of llguidance's work on it.

The frontend checks a grammar against these numbers and the backend follows it under the same ones,
so both refuse the same grammars. They count characters, levels, symbols, items and fuel, never
seconds: a request ends the same way on every machine. What they were measured against:
docs/decisions/0063-grammars-bounded.md.
"""

from typing import Final

CHARACTERS: Final = 262_144  # of a grammar, as it is sent to the backend
NESTED: Final = 120  # brackets of JSON within each other; llguidance itself takes 128
LEVELS: Final = 500  # schemas or rules within each other, with the references between them
POINTERLESS: Final = 32  # references that are not of the form "#/…"
DIVISOR: Final = 20_000  # the least common multiple of all `multipleOf`, as an integer
DECIMALS: Final = 9  # of a `multipleOf`
MERGED: Final = 8  # patterns that one `allOf` joins

SYMBOLS: Final = 10_000  # of a compiled grammar
ITEMS: Final = 10_000  # that a parser may add for one mask
ROW_ITEMS: Final = 2_000  # that a parser may hold after a token
BUILD_FUEL: Final = 300_000  # of the lexer, when a grammar is compiled
MASK_FUEL: Final = 200_000  # of the lexer, for one mask
LEXER_STATES: Final = 20_000  # of one reply, 1 to 4 KB each

STACK_BYTES: Final = 64 * 2**20  # of a thread that compiles: 8 KB a level, and room
COMPILED: Final = 64  # grammars that a backend keeps
COMPILED_BYTES: Final = 256 * 2**20  # that they may take, by `compiled_bytes`


def compiled_bytes(grammar: str) -> int:
    """Estimate the memory of a compiled grammar: 400 bytes a character is the most measured."""
    return 2**18 + 400 * len(grammar)
