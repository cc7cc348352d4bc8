"""A toy engine: it repeats the prompt, token by token, and knows no parameters."""

from collections.abc import Callable, Sequence

from rowcast.engine.engine import CacheMemory, Drawn, Feed, SavedCache, Seating
from rowcast.settings import Settings

END = 256


class Parrot:
    """An `Engine` whose row cache is the tokens themselves."""

    model = "parrot"
    fingerprint = "parrot-1"
    rows = 4
    width = shared_width = 16
    vocabulary = END + 1
    context_length = 64
    end_tokens = frozenset({END})
    dimensions = 0
    classifies = False
    token_bytes = 0  # nothing in its cache may be used again
    memory = CacheMemory(rows * context_length, 4)

    def __init__(self) -> None:
        self._fed: dict[int, list[int]] = {}
        self._prompts: dict[int, int] = {}

    def compile(self) -> None:
        """Do nothing."""

    def seat(self, row: int, seating: Seating) -> None:
        self._fed[row], self._prompts[row] = [], seating.prompt_length

    def leave(self, row: int) -> None:
        """Do nothing."""

    def ready(self, row: int) -> bool:
        return row in self._fed

    def fork(self, source: int, target: int, tokens: Sequence[int], held: int = 0) -> None:
        self._fed[target] = self._fed[source][: len(tokens)]

    def copy(self, source: int, target: int, count: int) -> None:
        raise NotImplementedError

    def save(self, row: int, count: int) -> SavedCache:
        raise NotImplementedError

    def new_saved(self, count: int) -> SavedCache:
        raise NotImplementedError

    def save_part(self, row: int, saved: SavedCache, begin: int, end: int) -> None:
        raise NotImplementedError

    def load(self, row: int, saved: SavedCache, count: int) -> None:
        raise NotImplementedError

    def trim(self, row: int, length: int) -> None:
        if row in self._fed:
            del self._fed[row][length:]

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        for feed in feeds:
            assert feed.position == len(self._fed[feed.row])
            self._fed[feed.row] += feed.tokens
        return [Drawn(feed.row, (self._next(feed.row),)) for feed in feeds if feed.draws]

    def _next(self, row: int) -> int:
        fed, length = self._fed[row], self._prompts[row]
        return END if len(fed) == 2 * length else fed[len(fed) - length]


def prepare(_settings: Settings) -> Callable[[], Parrot]:
    """Return the maker of engines. Its table line is `"parrot": toy_engine.prepare`."""
    return Parrot
