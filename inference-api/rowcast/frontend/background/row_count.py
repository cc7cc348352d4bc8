"""How many rows a background request takes at once: one for each choice of each prompt or text.

The number is stored when a request is accepted, since the queue takes requests before their bodies
are parsed. A value that its dialect will refuse counts as one.
"""

from collections.abc import Mapping

TEXTS = {"/v1/completions": "prompt", "/v1/embeddings": "input"}  # fields that may be lists
MOST = 1024  # as BACKGROUND_ROWS; a request that takes more than there are is computed alone


def row_count(path: str, body: Mapping[str, object]) -> int:
    """Return the number of rows for a body that is sent to this path."""
    choices = max(_count(body.get("n")), _count(body.get("best_of")))
    return min(_texts(body.get(TEXTS.get(path, ""))) * choices, MOST)


def _count(value: object) -> int:
    return max(1, value) if isinstance(value, int) and not isinstance(value, bool) else 1


def _texts(value: object) -> int:
    """Return the number of texts; a list of token ids is one."""
    several = isinstance(value, list) and any(isinstance(each, str | list) for each in value)
    return len(value) if several and isinstance(value, list) else 1
