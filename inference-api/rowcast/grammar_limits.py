"""What a grammar may cost: the bounds of its text, and those of llguidance's work on it.

The frontend checks a grammar against these numbers and the backend follows it under the same ones,
so both refuse the same grammars. They count characters, levels, symbols, items and fuel, never
seconds: a request ends the same way on every machine. The measurements behind them:
docs/decisions/0066-grammars-bounded.md.
"""

from typing import Final, TypedDict

CHARACTERS: Final = 262_144  # of a grammar, as it is sent to the backend
NESTED: Final = 120  # depth of JSON brackets; llguidance itself allows 128
LEVELS: Final = 500  # depth of schemas or rules, with the references between them
POINTERLESS: Final = 32  # references that are not of the form "#/…"
DIVISOR: Final = 20_000  # the least common multiple of all `multipleOf`, as an integer
DECIMALS: Final = 9  # of a `multipleOf`
MERGED: Final = 8  # patterns that one `allOf` joins

STACK_BYTES: Final = 64 * 2**20  # of a thread that compiles: 8 KB per level, and room to spare
COMPILED: Final = 64  # grammars that a backend caches
COMPILED_BYTES: Final = 256 * 2**20  # total size of the cache, by `compiled_bytes`


class ParserLimits(TypedDict):
    """The bounds of llguidance's work, under its own names."""

    max_grammar_size: int  # symbols
    max_items_in_row: int  # per parser, after a token
    step_max_items: int  # that a parser may add for one mask
    initial_lexer_fuel: int  # for compiling a grammar
    step_lexer_fuel: int  # for one mask
    max_lexer_states: int  # per reply, 1 to 4 KB each
    verbose_errors: bool


PARSER: Final[ParserLimits] = {
    "max_grammar_size": 10_000,
    "max_items_in_row": 2_000,
    "step_max_items": 10_000,
    "initial_lexer_fuel": 300_000,
    "step_lexer_fuel": 200_000,
    "max_lexer_states": 20_000,
    "verbose_errors": False,
}


def compiled_bytes(grammar: str) -> int:
    """Estimate the memory of a compiled grammar: at most 400 bytes per character were measured."""
    return 2**18 + 400 * len(grammar)
