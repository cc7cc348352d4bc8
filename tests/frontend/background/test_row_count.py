"""How many rows a request takes at once, read from its body."""

import pytest

from rowcast.frontend.background.row_count import MOST, row_count

CHAT, TEXT, VECTORS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"


@pytest.mark.parametrize(
    ("path", "body", "rows"),
    [
        (CHAT, {"messages": []}, 1),
        (CHAT, {"messages": [], "n": 4}, 4),
        (TEXT, {"prompt": "one", "n": 2, "best_of": 5}, 5),
        (TEXT, {"prompt": ["one", "two", "three"], "n": 2}, 6),
        (TEXT, {"prompt": [1, 2, 3]}, 1),
        (TEXT, {"prompt": [[1, 2], [3]]}, 2),
        (VECTORS, {"input": ["a"] * 7}, 7),
        (VECTORS, {"input": [5, 6]}, 1),
        ("/generate", {"text": "a", "n": 3}, 3),
    ],
)
def test_one_for_each_choice_of_each_text(path: str, body: dict[str, object], rows: int) -> None:
    assert row_count(path, body) == rows


@pytest.mark.parametrize("value", [None, 0, -4, "9", 1.5, True, [], {}])
def test_what_is_refused_later_counts_once(value: object) -> None:
    assert row_count(TEXT, {"prompt": value, "n": value}) == 1


def test_no_number_is_too_large_for_the_file() -> None:
    assert row_count(CHAT, {"n": 10**40}) == MOST
